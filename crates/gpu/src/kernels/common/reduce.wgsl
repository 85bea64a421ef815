// Reductions of `Reduced` values with `combine` among the ROW_LANES threads that share a row, ROW_LANES a power of two. The
// kernel declares both. Two steps through workgroup memory instead of a tree: what counts is the number of barriers, and the
// order of the terms is the same on every device.
const FAN = 16u;

var<workgroup> row_partial: array<Reduced, WG_X>;
//#if WIDE_ROWS
var<workgroup> row_second: array<Reduced, WG_X / ROW_LANES * FAN>;
//#endif

// The value for the row of this thread, the same in all its threads. All threads of the workgroup must call it.
fn row_reduce(mine: Reduced, lane: u32) -> Reduced {
    row_partial[lane] = mine;
    workgroupBarrier();
    let member = lane % ROW_LANES;
//#if WIDE_ROWS
    let second = lane / ROW_LANES * FAN;
    if member < FAN {
        var some = row_partial[lane];
        for (var n = FAN; n < ROW_LANES; n += FAN) {
            some = combine(some, row_partial[lane + n]);
        }
        row_second[second + member] = some;
    }
    workgroupBarrier();
    var all = row_second[second];
    for (var n = 1u; n < FAN; n++) {
        all = combine(all, row_second[second + n]);
    }
//#else
    var all = row_partial[lane - member];
    for (var n = 1u; n < ROW_LANES; n++) {
        all = combine(all, row_partial[lane - member + n]);
    }
    // The next reduction overwrites what slower threads are still reading here.
    workgroupBarrier();
//#endif
    return all;
}
