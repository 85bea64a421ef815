//! The call of the kernel function for one thread: what Metal would pass for each parameter.

use std::fmt::Write as _;

/// Statements that call `entry` with the bindings, threadgroup memory and numbers of the thread `t`.
pub(super) fn call(msl: &str, entry: &str) -> Result<String, String> {
    let head = format!("kernel void {entry}(\n");
    let (_, rest) = msl.split_once(&head).ok_or_else(|| format!("there is no kernel '{entry}'"))?;
    let (parameters, _) = rest.split_once("\n) {").ok_or("the kernel's parameters have no end")?;
    let (mut before, mut arguments) = (String::new(), Vec::new());
    let mut offset = "0".to_owned();
    for line in parameters.lines() {
        let line = line.trim().trim_start_matches(',').trim();
        let attribute = line.split_once("[[").and_then(|(_, a)| a.strip_suffix("]]"));
        let argument = match attribute {
            Some(attribute) => match attribute.strip_prefix("buffer(").and_then(|s| s.strip_suffix(')')) {
                Some(slot) => format!("metal_cpu::buffer<{}>(t, {slot})", referent(line)?),
                None => builtin(attribute)?,
            },
            None if line.starts_with("threadgroup ") => {
                let ty = referent(line)?;
                let (at, next) = (offset.clone(), format!("after_{}", arguments.len()));
                // Writing to a String can't fail.
                let _ =
                    writeln!(before, "    constexpr unsigned {next} = {at} + metal_cpu::round16<{ty}>();");
                offset = next;
                format!("metal_cpu::threadgroup<{ty}>(t, {at})")
            }
            None => return Err(format!("a parameter of an unknown kind: {line}")),
        };
        arguments.push(argument);
    }
    Ok(format!("{before}    {entry}(\n    {}\n    );\n", arguments.join(",\n    ")))
}

/// The type that a reference parameter refers to, without its address space.
fn referent(parameter: &str) -> Result<&str, String> {
    let unknown = || format!("a parameter of an unknown form: {parameter}");
    let (ty, _) = parameter.split_once('&').ok_or_else(unknown)?;
    let (_, ty) = ty.split_once(' ').ok_or_else(unknown)?;
    Ok(ty.trim())
}

fn builtin(attribute: &str) -> Result<String, String> {
    let triple = |name: &str| format!("metal::uint3(t.{name}[0], t.{name}[1], t.{name}[2])");
    Ok(match attribute {
        "thread_position_in_grid" => {
            format!("{} * {} + {}", triple("group"), triple("threads"), triple("local"))
        }
        "thread_position_in_threadgroup" => triple("local"),
        "thread_index_in_threadgroup" => "t.index".into(),
        "threadgroup_position_in_grid" => triple("group"),
        "threadgroups_per_grid" => triple("groups"),
        "dispatch_threads_per_threadgroup" => triple("threads"),
        "thread_index_in_simdgroup" => "t.lane".into(),
        "simdgroup_index_in_threadgroup" => "t.simd".into(),
        "threads_per_simdgroup" => "t.lanes".into(),
        "simdgroups_per_threadgroup" => "t.simds".into(),
        other => return Err(format!("the parameter [[{other}]] is unknown")),
    })
}

#[cfg(test)]
mod tests {
    use super::call;

    #[test]
    fn parameters_in_order() {
        let msl = "[[x(64)]] kernel void main_(\n  uint lane [[thread_index_in_simdgroup]]\n\
                   , device type_1 const& w [[buffer(1)]]\n, constant Params& p [[buffer(0)]]\n\
                   , threadgroup type_8& part\n, threadgroup metal::atomic_uint& cnt\n) {\n}\n";
        let wanted = "    constexpr unsigned after_3 = 0 + metal_cpu::round16<type_8>();\n    \
                      constexpr unsigned after_4 = after_3 + metal_cpu::round16<metal::atomic_uint>();\n    \
                      main_(\n    t.lane,\n    metal_cpu::buffer<type_1 const>(t, 1),\n    \
                      metal_cpu::buffer<Params>(t, 0),\n    metal_cpu::threadgroup<type_8>(t, 0),\n    \
                      metal_cpu::threadgroup<metal::atomic_uint>(t, after_3)\n    );\n";
        assert_eq!(call(msl, "main_").unwrap(), wanted);
        assert!(call(msl, "other").is_err());
        assert!(call("kernel void k(\n  int a [[patch_id]]\n) {\n}\n", "k").is_err());
    }
}
