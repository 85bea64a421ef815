//! What of a model runs on the device that was asked for, and what falls back to the CPU: by graph, op and shape.

use crate::units;
use mynah::Devices;
use mynah_graph::Graph;
use mynah_plan::place;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// Where the nodes of some graphs run.
pub(crate) struct Placed {
    device: String,
    fallback: Option<String>,
    graphs: Vec<PlacedGraph>,
}

struct PlacedGraph {
    name: String,
    nodes: usize,
    /// Parts that the graph is cut into; 1 for a whole one.
    segments: usize,
    /// What falls back: op with shapes and reason, and how many nodes of that kind there are.
    away: BTreeMap<String, usize>,
}

impl Placed {
    /// Places graphs that are rewritten already.
    ///
    /// # Errors
    /// With `strict`, or without a fallback, the first node that the device can't run.
    pub(crate) fn of(graphs: &[Graph], devices: &Devices, strict: bool) -> anyhow::Result<Self> {
        let fallback = devices.fallback.as_deref();
        let mut placed = Vec::with_capacity(graphs.len());
        for graph in graphs {
            let placement = place(graph, devices.device.as_ref(), fallback, strict)?;
            let mut away = BTreeMap::new();
            for node in graph.nodes() {
                if let Err(reason) = devices.device.supports(graph, node) {
                    let shapes = node.inputs.iter().map(|&v| format!("{:?}", graph.shape(v).dims()));
                    let kind = format!(
                        "{} of {}: {}",
                        node.op.name(),
                        shapes.collect::<Vec<_>>().join(" "),
                        reason.reason
                    );
                    *away.entry(kind).or_insert(0) += 1;
                }
            }
            let segments = if placement.is_whole() { 1 } else { placement.segments.len() };
            placed.push(PlacedGraph { name: graph.name.clone(), nodes: graph.nodes().len(), segments, away });
        }
        let fallback = devices.fallback.as_ref().map(|d| d.name().to_owned());
        Ok(Self { device: devices.device.name().to_owned(), fallback, graphs: placed })
    }

    /// Nodes, and those of them that fall back.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let away = self.graphs.iter().flat_map(|g| g.away.values()).sum();
        (self.graphs.iter().map(|g| g.nodes).sum(), away)
    }

    /// One line.
    pub(crate) fn summary(&self) -> String {
        let (nodes, away) = self.counts();
        let fallback = self.fallback.as_deref().unwrap_or("nothing");
        match away {
            0 => format!("the whole model runs on {}", self.device),
            _ => format!("{away} of {nodes} nodes can't run on {} and fall back to {fallback}", self.device),
        }
    }
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "placement: {}", self.summary())?;
        let width = self.graphs.iter().map(|g| g.name.len()).max().unwrap_or(0);
        for graph in &self.graphs {
            let away: usize = graph.away.values().sum();
            let mut line = format!("{:<width$}  {}", graph.name, units::count(graph.nodes, "node", "nodes"));
            // Writing to a String can't fail.
            let _ = match away {
                0 => write!(line, ", whole"),
                _ => write!(line, ", {away} elsewhere, in {} parts", graph.segments),
            };
            writeln!(f, "{line}")?;
            for (kind, count) in &graph.away {
                writeln!(f, "  {count} × {kind}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_device::{Device, DeviceError, DeviceReport, Policy, Route, Session, Unsupported};
    use mynah_graph::{ElemType, GraphBuilder, Node};
    use mynah_lab::ReferenceDevice;
    use std::sync::Arc;

    /// The reference without a square root.
    struct Limited;

    impl Device for Limited {
        fn name(&self) -> &str {
            "limited"
        }
        fn report(&self) -> DeviceReport {
            ReferenceDevice.report()
        }
        fn routes(&self) -> &[Route] {
            &[]
        }
        fn supports(&self, _: &Graph, node: &Node) -> Result<(), Unsupported> {
            match node.op.name() {
                "rsqrt" => Err(Unsupported { op: "rsqrt", reason: "no roots here".into() }),
                _ => Ok(()),
            }
        }
        fn in_place(&self, _: &Graph, _: &Node) -> Option<usize> {
            None
        }
        fn open(&self, policy: &Policy) -> Result<Box<dyn Session>, DeviceError> {
            ReferenceDevice.open(policy)
        }
    }

    fn graphs() -> Vec<Graph> {
        let mut b = GraphBuilder::new("roots");
        let x = b.input("x", ElemType::F32, [2, 3]);
        let a = b.relu(x);
        let r = b.op(mynah_graph::Op::Unary(mynah_graph::Activation::Rsqrt), &[a]);
        let y = b.op(mynah_graph::Op::Unary(mynah_graph::Activation::Rsqrt), &[r]);
        b.output("y", y);
        vec![b.finish().unwrap()]
    }

    #[test]
    fn what_falls_back_is_named_with_its_shapes() {
        let devices = Devices { device: Arc::new(Limited), fallback: Some(Arc::new(ReferenceDevice)) };
        let placed = Placed::of(&graphs(), &devices, false).unwrap();
        let wanted = "\
placement: 2 of 3 nodes can't run on limited and fall back to reference
roots  3 nodes, 2 elsewhere, in 2 parts
  2 × rsqrt of [2, 3]: no roots here
";
        assert_eq!(placed.to_string(), wanted);
        let strict = Placed::of(&graphs(), &devices, true).map(|_| ()).unwrap_err().to_string();
        assert!(strict.contains("can't run on limited: rsqrt: no roots here"), "{strict}");
    }

    #[test]
    fn a_whole_model_says_so() {
        let devices = Devices { device: Arc::new(ReferenceDevice), fallback: None };
        let placed = Placed::of(&graphs(), &devices, true).unwrap();
        assert_eq!(
            placed.to_string(),
            "placement: the whole model runs on reference\nroots  3 nodes, whole\n"
        );
    }
}
