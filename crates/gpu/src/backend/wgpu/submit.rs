//! Records commands, as many dispatches to a pass as follow each other, and submits them.

use super::WgpuBackend;
use crate::backend::{Backend, Command};
use mynah_device::DeviceError;
use std::sync::mpsc;
use std::time::Duration;

/// Commands of a run's first submission. The device begins while the rest is recorded, which takes about as long as running it: 6.6 ms
/// instead of 8.1 for 800 dispatches on an H200.
const FIRST: usize = 16;
/// Commands of each submission after it.
const EACH: usize = 64;
/// Threads that record at most.
const RECORDERS: usize = 4;
/// Dispatches timed in one submission: two queries each, of the 4096 that a set may hold.
const TIMED: usize = 2048;

/// Commands recorded before they were asked for.
pub struct Recorded {
    same: Vec<Fingerprint>,
    pub(super) buffer: wgpu::CommandBuffer,
}

impl Recorded {
    pub(super) fn new(backend: &WgpuBackend, commands: &[Command<'_, WgpuBackend>]) -> Self {
        Self { same: commands.iter().map(Fingerprint::of).collect(), buffer: backend.recorded(commands) }
    }

    /// Whether it is these commands that were recorded.
    pub(super) fn is(&self, commands: &[Command<'_, WgpuBackend>]) -> bool {
        self.same.len() == commands.len()
            && self.same.iter().zip(commands).all(|(fingerprint, command)| fingerprint.is(command))
    }
}

/// What tells one command from another.
#[derive(PartialEq, Eq)]
enum Fingerprint {
    Dispatch(wgpu::ComputePipeline, wgpu::BindGroup, Vec<u8>, [u32; 3]),
    Copy(wgpu::Buffer, wgpu::Buffer, [u64; 3]),
}

impl Fingerprint {
    fn of(command: &Command<'_, WgpuBackend>) -> Self {
        match command {
            Command::Dispatch { pipeline, bound, immediates, groups } => {
                Self::Dispatch(pipeline.pipeline.clone(), (*bound).clone(), immediates.to_vec(), *groups)
            }
            Command::Copy { from, from_offset, to, to_offset, bytes } => {
                Self::Copy((*from).clone(), (*to).clone(), [*from_offset, *to_offset, *bytes])
            }
        }
    }

    fn is(&self, command: &Command<'_, WgpuBackend>) -> bool {
        match (self, command) {
            (Self::Dispatch(a, b, c, d), Command::Dispatch { pipeline, bound, immediates, groups }) => {
                *a == pipeline.pipeline && b == *bound && c == immediates && d == groups
            }
            (Self::Copy(a, b, c), Command::Copy { from, from_offset, to, to_offset, bytes }) => {
                a == *from && b == *to && *c == [*from_offset, *to_offset, *bytes]
            }
            _ => false,
        }
    }
}

impl WgpuBackend {
    fn recorded(&self, commands: &[Command<'_, Self>]) -> wgpu::CommandBuffer {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        record(&mut encoder, commands, None);
        encoder.finish()
    }

    /// Records and submits in parts, several recorded at a time.
    pub(super) fn record(&self, commands: &[Command<'_, Self>]) {
        let (first, rest) = commands.split_at(commands.len().min(FIRST));
        self.queue.submit([self.recorded(first)]);
        let parts: Vec<_> = rest.chunks(EACH).collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let recorders = RECORDERS.min(cores).min(parts.len() / 2);
        if recorders < 2 {
            parts.iter().for_each(|part| _ = self.queue.submit([self.recorded(part)]));
            return;
        }
        std::thread::scope(|scope| {
            let made: Vec<_> = (0..recorders)
                .map(|recorder| {
                    let (give, take) = mpsc::channel();
                    let mine = parts.iter().skip(recorder).step_by(recorders);
                    // Nobody takes any more only when this run has failed.
                    scope.spawn(move || mine.for_each(|part| _ = give.send(self.recorded(part))));
                    take
                })
                .collect();
            let in_order = made.iter().cycle().take(parts.len());
            in_order.map_while(|take| take.recv().ok()).for_each(|part| _ = self.queue.submit([part]));
        });
    }

    pub(super) fn record_timed(&self, commands: &[Command<'_, Self>]) -> Result<Vec<Duration>, DeviceError> {
        if !self.caps.timestamps {
            self.record(commands);
            self.wait()?;
            return Ok(Vec::new());
        }
        let mut times = Vec::new();
        let mut rest = commands;
        while !rest.is_empty() {
            let (part, later) = rest.split_at(rest.len().min(TIMED));
            rest = later;
            times.extend(self.time(part)?);
        }
        Ok(times)
    }

    fn time(&self, commands: &[Command<'_, Self>]) -> Result<Vec<Duration>, DeviceError> {
        let dispatches = commands.iter().filter(|c| matches!(c, Command::Dispatch { .. })).count();
        let count = (2 * dispatches).max(2) as u32;
        let set = self.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("times"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        let bytes = 8 * u64::from(count);
        let buffer = |usage| {
            let descriptor = wgpu::BufferDescriptor {
                label: Some("times"),
                size: bytes,
                usage,
                mapped_at_creation: false,
            };
            self.device.create_buffer(&descriptor)
        };
        let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
        let read = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        record(&mut encoder, commands, Some(&set));
        encoder.resolve_query_set(&set, 0..count, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &read, 0, bytes);
        self.queue.submit([encoder.finish()]);
        let period = f64::from(self.queue.get_timestamp_period());
        let ticks: Vec<u64> = self
            .view(&read, bytes)?
            .chunks_exact(8)
            .map(|b| b.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte)))
            .collect();
        let spans = ticks.chunks_exact(2).take(dispatches);
        let time = |t: &[u64]| Duration::from_nanos((t[1].saturating_sub(t[0]) as f64 * period) as u64);
        Ok(spans.map(time).collect())
    }
}

fn record(
    encoder: &mut wgpu::CommandEncoder,
    commands: &[Command<'_, WgpuBackend>],
    queries: Option<&wgpu::QuerySet>,
) {
    let (mut at, mut query) = (0, 0);
    while at < commands.len() {
        if let Command::Copy { from, from_offset, to, to_offset, bytes } = &commands[at] {
            encoder.copy_buffer_to_buffer(from, *from_offset, to, *to_offset, *bytes);
            at += 1;
            continue;
        }
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        while let Some(Command::Dispatch { pipeline, bound, immediates, groups }) = commands.get(at) {
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, *bound, &[]);
            if !immediates.is_empty() {
                pass.set_immediates(0, immediates);
            }
            if let Some(set) = queries {
                pass.write_timestamp(set, query);
            }
            pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
            if let Some(set) = queries {
                pass.write_timestamp(set, query + 1);
            }
            query += 2;
            at += 1;
        }
    }
}
