use super::*;
use std::sync::atomic::AtomicU32;

#[test]
fn every_task_runs_once_over_thousands_of_jobs() {
    for threads in [1, 2, 3, 8] {
        let pool = Pool::new(threads);
        assert_eq!(pool.threads(), threads);
        for round in 0..2000 {
            let tasks = round % 17;
            let counts: Vec<AtomicU32> = (0..tasks).map(|_| AtomicU32::new(0)).collect();
            let count = |task: Task| {
                assert!(task.thread < threads);
                counts[task.index].fetch_add(1, Ordering::Relaxed);
            };
            pool.run(tasks, &count).unwrap();
            assert!(
                counts.iter().all(|c| c.load(Ordering::Relaxed) == 1),
                "{threads} threads, round {round}"
            );
        }
    }
}

#[test]
fn no_two_running_tasks_share_a_thread_number() {
    let pool = Pool::new(4);
    let busy: Vec<AtomicBool> = (0..4).map(|_| AtomicBool::new(false)).collect();
    pool.run(200, &|task| {
        assert!(!busy[task.thread].swap(true, Ordering::SeqCst));
        std::thread::yield_now();
        busy[task.thread].store(false, Ordering::SeqCst);
    })
    .unwrap();
}

#[test]
fn parked_workers_wake_for_the_next_job() {
    let pool = Pool::new(2);
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(2));
        // Both tasks wait for each other: only two threads can finish this.
        let met = AtomicU32::new(0);
        pool.run(2, &|_| {
            met.fetch_add(1, Ordering::SeqCst);
            while met.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
        })
        .unwrap();
    }
}

#[test]
fn a_slow_worker_is_waited_for() {
    let pool = Pool::new(2);
    let done = AtomicU32::new(0);
    pool.run(2, &|task| {
        if task.thread == 1 {
            std::thread::sleep(Duration::from_millis(20));
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
        done.fetch_add(1, Ordering::SeqCst);
    })
    .unwrap();
    assert_eq!(done.load(Ordering::SeqCst), 2);
}

#[test]
fn panics_come_back_as_errors_and_leave_the_pool_usable() {
    for threads in [1, 3] {
        let pool = Pool::new(threads);
        let error = pool.run(50, &|task| assert!(task.index != 7, "task {} is bad", task.index)).unwrap_err();
        assert!(error.message.contains("task 7 is bad"), "{error}");
        let sum = AtomicUsize::new(0);
        pool.run(10, &|task| {
            sum.fetch_add(task.index, Ordering::Relaxed);
        })
        .unwrap();
        assert_eq!(sum.load(Ordering::Relaxed), 45);
    }
}

#[test]
fn callers_and_nested_calls_never_wait_for_each_other() {
    let pool = Pool::new(3);
    let total = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..300 {
                    pool.run(5, &|_| {
                        pool.run(2, &|_| {
                            total.fetch_add(1, Ordering::Relaxed);
                        })
                        .unwrap();
                    })
                    .unwrap();
                }
            });
        }
    });
    assert_eq!(total.load(Ordering::Relaxed), 3 * 300 * 10);
}

#[test]
fn chunks_cover_the_range() {
    let pool = Pool::new(2);
    let hits: Vec<AtomicU32> = (0..23).map(|_| AtomicU32::new(0)).collect();
    pool.run_chunks(23, 5, &|range| {
        for i in range {
            hits[i].fetch_add(1, Ordering::Relaxed);
        }
    })
    .unwrap();
    assert!(hits.iter().all(|h| h.load(Ordering::Relaxed) == 1));
}

#[test]
fn nobody_spins_for_long() {
    let pool = Pool::new(3);
    let _running = pool.enter();
    for _ in 0..3 {
        // A program that never launches another kernel doesn't keep the workers busy either.
        let start = Instant::now();
        while pool.shared.sleepers.load(Ordering::SeqCst) < 2 {
            assert!(start.elapsed() < Duration::from_secs(20), "workers should have parked");
            std::thread::sleep(Duration::from_millis(1));
        }
        let ran = AtomicU32::new(0);
        let count = |_: Task| {
            ran.fetch_add(1, Ordering::Relaxed);
        };
        pool.run(64, &count).unwrap();
        assert_eq!(ran.into_inner(), 64);
    }
}

#[test]
fn programs_of_several_callers_are_counted() {
    let pool = Pool::new(2);
    let (first, second) = (pool.enter(), pool.enter());
    drop(first);
    assert_eq!(pool.shared.running.load(Ordering::Relaxed), 1);
    drop(second);
    assert_eq!(pool.shared.running.load(Ordering::Relaxed), 0);
}
