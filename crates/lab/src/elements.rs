//! Elements on their way into and out of a run.

use mynah_device::Data;
use mynah_graph::interp::Tensor64;
use mynah_graph::{ElemType, GraphError};
use mynah_tensor::Shape;

/// The elements of an input or output; the graph knows the shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Activations.
    F32(Vec<f32>),
    /// Ids, lengths, row numbers.
    I32(Vec<i32>),
}

impl Elements {
    /// How they are handed to a device.
    pub fn data(&self) -> Data<'_> {
        match self {
            Self::F32(v) => Data::F32(v),
            Self::I32(v) => Data::I32(v),
        }
    }

    /// Their type.
    pub fn elem(&self) -> ElemType {
        match self {
            Self::F32(_) => ElemType::F32,
            Self::I32(_) => ElemType::I32,
        }
    }

    /// As f64, which holds both types exactly.
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Self::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Self::I32(v) => v.iter().map(|&x| f64::from(x)).collect(),
        }
    }

    /// As a tensor of the reference interpreter.
    ///
    /// # Errors
    /// [`GraphError::Argument`] when the shape holds another number of elements.
    pub fn to_tensor64(&self, shape: Shape) -> Result<Tensor64, GraphError> {
        Tensor64::new(shape, self.to_f64())
    }

    /// The bit pattern of each element: two runs gave the same bytes where these are equal.
    pub fn bits(&self) -> Vec<u32> {
        match self {
            Self::F32(v) => v.iter().map(|x| x.to_bits()).collect(),
            Self::I32(v) => v.iter().map(|x| x.cast_unsigned()).collect(),
        }
    }
}

/// Everything a run is given beside the weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    /// In the order of the graph's inputs.
    pub inputs: Vec<Elements>,
    /// In the order of the graph's slots.
    pub slots: Vec<i64>,
    /// Contents before the run, `[rows, row shape]`, in the order of the graph's states.
    pub states: Vec<Vec<f32>>,
}

/// Everything a run leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// In the order of the graph's outputs.
    pub outputs: Vec<Elements>,
    /// Contents after the run, in the order of the graph's states.
    pub states: Vec<Vec<f32>>,
}

impl Values {
    /// Bit patterns of all outputs and states, one after another.
    pub fn bits(&self) -> Vec<u32> {
        let states = self.states.iter().flatten().map(|x| x.to_bits());
        self.outputs.iter().flat_map(Elements::bits).chain(states).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_are_not_equal_numbers() {
        let (plus, minus) = (Elements::F32(vec![0.0]), Elements::F32(vec![-0.0]));
        assert_eq!(plus, minus);
        assert_ne!(plus.bits(), minus.bits());
        let nan = Elements::F32(vec![f32::NAN]);
        assert_ne!(nan, nan.clone());
        assert_eq!(nan.bits(), nan.clone().bits());
    }

    #[test]
    fn integers_reach_the_reference_unrounded() {
        let ids = Elements::I32(vec![i32::MAX, i32::MIN, 16_777_217]);
        let tensor = ids.to_tensor64([3].into()).unwrap();
        assert_eq!(tensor.data, [2_147_483_647.0, -2_147_483_648.0, 16_777_217.0]);
        assert!(ids.to_tensor64([2].into()).is_err());
    }
}
