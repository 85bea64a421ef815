//! An interpreter for the pickles inside torch checkpoints that runs no code.
//!
//! Python's own unpickler calls whatever the file names; this one knows the few names a state dict needs
//! ([`Global`]) and refuses every other with its name. Values live in an arena and refer to each other by index, so
//! a pickle that nests a million tuples costs neither stack to read nor stack to drop, and shared values stay shared.
//! The result goes to [`super::read`], which finds tensors in it.

use std::collections::HashMap;

use super::opcodes as op;

/// Real checkpoints have a pickle of some 100 KB; tensors are not in it.
const MAX_BYTES: usize = 16 << 20;
/// Values alive at once; each takes 32 bytes here.
const MAX_VALUES: usize = 2 << 20;

/// Why a pickle was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// The pickle names a Python object that is not part of a tensor checkpoint.
    #[error(
        "pickle asks for \"{module}.{name}\", which is no part of a tensor checkpoint; nothing was executed"
    )]
    Global {
        /// The Python module.
        module: String,
        /// The name in it.
        name: String,
    },
    /// An opcode that torch does not write.
    #[error("pickle opcode {opcode:#04x} at byte {offset} is not one that torch writes")]
    Opcode {
        /// The byte.
        opcode: u8,
        /// Where.
        offset: usize,
    },
    /// The pickle ends in the middle.
    #[error("pickle is cut short at byte {offset}")]
    Truncated {
        /// Where.
        offset: usize,
    },
    /// An opcode that finds too little or the wrong thing on the stack or in the memo.
    #[error("pickle is malformed at byte {offset}: {what}")]
    Malformed {
        /// Where.
        offset: usize,
        /// What does not fit.
        what: &'static str,
    },
    /// More bytes or values than any state dict has.
    #[error("pickle is too large: {what} (limit {limit})")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// Index of a value in a [`Pickle`].
pub(crate) type Id = u32;

/// The Python objects a checkpoint may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(StorageType),
}

/// What a storage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StorageType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Global {
    fn find(module: &str, name: &str) -> Option<Global> {
        use StorageType::{BF16, Bool, F16, F32, F64, I8, I16, I32, I64, U8};
        let storage = |kind| Some(Global::Storage(kind));
        match (module, name) {
            ("collections", "OrderedDict") => Some(Global::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Global::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Global::RebuildParameter),
            ("torch", "DoubleStorage") => storage(F64),
            ("torch", "FloatStorage") => storage(F32),
            ("torch", "HalfStorage") => storage(F16),
            ("torch", "BFloat16Storage") => storage(BF16),
            ("torch", "LongStorage") => storage(I64),
            ("torch", "IntStorage") => storage(I32),
            ("torch", "ShortStorage") => storage(I16),
            ("torch", "CharStorage") => storage(I8),
            ("torch", "ByteStorage") => storage(U8),
            ("torch", "BoolStorage") => storage(Bool),
            _ => None,
        }
    }
}

/// A value of the pickle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<str>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// What a persistent id stands for: the tuple that names a storage.
    Persistent(Id),
    /// A call of `_rebuild_tensor_v2` with this tuple of arguments.
    Tensor(Id),
}

/// A finished pickle.
#[derive(Debug)]
pub(crate) struct Pickle {
    values: Vec<Value>,
    /// The value the pickle is of.
    pub(crate) root: Id,
}

impl Pickle {
    pub(crate) fn get(&self, id: Id) -> &Value {
        self.values.get(id as usize).unwrap_or(&Value::None)
    }

    /// Interprets a pickle.
    pub(crate) fn read(bytes: &[u8]) -> Result<Pickle, PickleError> {
        if bytes.len() > MAX_BYTES {
            return Err(PickleError::TooLarge { what: "bytes", limit: MAX_BYTES });
        }
        let mut machine = Machine {
            bytes,
            at: 0,
            op_at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            copied: 0,
        };
        loop {
            if let Some(root) = machine.step()? {
                return Ok(Pickle { values: machine.values, root });
            }
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the opcode being executed is, for errors.
    op_at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack at which marks lie.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Dict items made by copying lists, the one way in which a byte of pickle could cost more than a few of memory.
    copied: usize,
}

impl<'a> Machine<'a> {
    /// Executes one opcode; the root once the pickle stops.
    fn step(&mut self) -> Result<Option<Id>, PickleError> {
        self.op_at = self.at;
        let opcode = self.take(1)?[0];
        match opcode {
            op::PROTO => drop(self.take(1)?),
            op::FRAME => drop(self.take(8)?),
            op::STOP => return self.pop().map(Some),
            op::MARK => self.marks.push(self.stack.len()),
            op::POP => {
                // On an empty frame this drops the mark, as in Python.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            op::POP_MARK => drop(self.pop_to_mark()?),
            op::DUP => {
                let top = self.top()?;
                self.stack.push(top);
            }
            op::NONE => self.push(Value::None)?,
            op::NEWTRUE => self.push(Value::Bool(true))?,
            op::NEWFALSE => self.push(Value::Bool(false))?,
            op::BININT => {
                let bytes = self.array::<4>()?;
                self.push(Value::Int(i32::from_le_bytes(bytes).into()))?;
            }
            op::BININT1 => {
                let value = self.take(1)?[0];
                self.push(Value::Int(value.into()))?;
            }
            op::BININT2 => {
                let bytes = self.array::<2>()?;
                self.push(Value::Int(u16::from_le_bytes(bytes).into()))?;
            }
            op::LONG1 => self.long()?,
            op::BINFLOAT => {
                let bytes = self.array::<8>()?;
                self.push(Value::Float(f64::from_be_bytes(bytes)))?;
            }
            op::SHORT_BINUNICODE | op::SHORT_BINSTRING => {
                let length = self.take(1)?[0];
                self.text(length.into())?;
            }
            op::BINUNICODE | op::BINSTRING => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length as usize)?;
            }
            op::EMPTY_TUPLE => self.push(Value::Tuple(Vec::new()))?,
            op::EMPTY_LIST => self.push(Value::List(Vec::new()))?,
            op::EMPTY_DICT => self.push(Value::Dict(Vec::new()))?,
            op::TUPLE => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items))?;
            }
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let count = usize::from(opcode - op::TUPLE1) + 1;
                let items = self.pop_many(count)?;
                self.push(Value::Tuple(items))?;
            }
            op::APPEND => {
                let item = self.pop()?;
                self.extend_list(vec![item])?;
            }
            op::APPENDS => {
                let items = self.pop_to_mark()?;
                self.extend_list(items)?;
            }
            op::SETITEM => {
                let pair = self.pop_many(2)?;
                self.extend_dict(&pair)?;
            }
            op::SETITEMS => {
                let items = self.pop_to_mark()?;
                self.extend_dict(&items)?;
            }
            op::BINPUT => {
                let index = self.take(1)?[0];
                self.remember(index.into())?;
            }
            op::LONG_BINPUT => {
                let index = u32::from_le_bytes(self.array()?);
                self.remember(index)?;
            }
            op::MEMOIZE => self.remember(self.memo.len() as u32)?,
            op::BINGET => {
                let index = self.take(1)?[0];
                self.recall(index.into())?;
            }
            op::LONG_BINGET => {
                let index = u32::from_le_bytes(self.array()?);
                self.recall(index)?;
            }
            op::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name)?;
            }
            op::STACK_GLOBAL => {
                let pair = self.pop_many(2)?;
                let [Value::Text(module), Value::Text(name)] = [self.value(pair[0]), self.value(pair[1])]
                else {
                    return Err(self.malformed("a global's name is no text"));
                };
                let (module, name) = (module.to_string(), name.to_string());
                self.global(&module, &name)?;
            }
            op::REDUCE | op::NEWOBJ => self.call()?,
            op::BUILD => {
                // Attributes of a dict (torch keeps `_metadata` there) or a tensor; neither changes its values.
                self.pop()?;
                let target = self.top()?;
                if !matches!(self.value(target), Value::Dict(_) | Value::Tensor(_)) {
                    return Err(self.malformed("attributes set on something other than a dict or tensor"));
                }
            }
            op::BINPERSID => {
                let id = self.pop()?;
                self.push(Value::Persistent(id))?;
            }
            opcode => return Err(PickleError::Opcode { opcode, offset: self.op_at }),
        }
        Ok(None)
    }

    /// Calls the function below the top of the stack; only the three that build dicts and tensors exist.
    fn call(&mut self) -> Result<(), PickleError> {
        let pair = self.pop_many(2)?;
        let (function, arguments) = (pair[0], pair[1]);
        let Value::Tuple(items) = self.value(arguments) else {
            return Err(self.malformed("the arguments of a call are no tuple"));
        };
        let first = items.first().copied();
        let result = match self.value(function) {
            Value::Global(Global::OrderedDict) => match first {
                None => Value::Dict(Vec::new()),
                Some(pairs) => Value::Dict(self.pairs(pairs)?),
            },
            Value::Global(Global::RebuildTensor) => Value::Tensor(arguments),
            Value::Global(Global::RebuildParameter) => {
                let Some(tensor) = first else {
                    return Err(self.malformed("a parameter without a tensor"));
                };
                self.stack.push(tensor);
                return Ok(());
            }
            _ => return Err(self.malformed("a call of something that is no function")),
        };
        self.push(result)
    }

    /// The items of a list of pairs, as `OrderedDict` takes them.
    fn pairs(&mut self, id: Id) -> Result<Vec<(Id, Id)>, PickleError> {
        if let Value::List(items) | Value::Tuple(items) = self.value(id) {
            self.copied += items.len();
        }
        if self.copied > MAX_VALUES {
            return Err(PickleError::TooLarge { what: "copied values", limit: MAX_VALUES });
        }
        let (Value::List(items) | Value::Tuple(items)) = self.value(id) else {
            return Err(self.malformed("OrderedDict of something that is no list"));
        };
        let pair = |&item: &Id| match self.value(item) {
            Value::Tuple(pair) | Value::List(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
            _ => Err(self.malformed("OrderedDict item that is no pair")),
        };
        items.iter().map(pair).collect()
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), PickleError> {
        let known = Global::find(module, name);
        let refused = || PickleError::Global { module: module.to_owned(), name: name.to_owned() };
        self.push(Value::Global(known.ok_or_else(refused)?))
    }

    fn long(&mut self) -> Result<(), PickleError> {
        let length = usize::from(self.take(1)?[0]);
        if length > 8 {
            return Err(self.malformed("an integer beyond 64 bits"));
        }
        let bytes = self.take(length)?;
        // Two's complement: sign-extend from the last byte.
        let fill = if bytes.last().is_some_and(|&b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut wide = [fill; 8];
        wide[..length].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(wide)))
    }

    fn text(&mut self, length: usize) -> Result<(), PickleError> {
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.malformed("text that is not UTF-8"))?;
        let text = text.into();
        self.push(Value::Text(text))
    }

    fn line(&mut self) -> Result<String, PickleError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&b| b == b'\n');
        let length = length.ok_or(PickleError::Truncated { offset: self.bytes.len() })?;
        let line =
            std::str::from_utf8(&rest[..length]).map_err(|_| self.malformed("a name that is not UTF-8"))?;
        self.at += length + 1;
        Ok(line.to_owned())
    }

    fn extend_list(&mut self, items: Vec<Id>) -> Result<(), PickleError> {
        let target = self.top()? as usize;
        match self.values.get_mut(target) {
            Some(Value::List(list)) => list.extend(items),
            _ => return Err(self.malformed("items appended to something that is no list")),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id]) -> Result<(), PickleError> {
        if !items.len().is_multiple_of(2) {
            return Err(self.malformed("a dict key without a value"));
        }
        let target = self.top()? as usize;
        match self.values.get_mut(target) {
            Some(Value::Dict(dict)) => dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            _ => return Err(self.malformed("items set in something that is no dict")),
        }
        Ok(())
    }

    fn remember(&mut self, index: u32) -> Result<(), PickleError> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), PickleError> {
        let id = *self.memo.get(&index).ok_or_else(|| self.malformed("an empty place of the memo"))?;
        self.stack.push(id);
        Ok(())
    }

    fn value(&self, id: Id) -> &Value {
        self.values.get(id as usize).unwrap_or(&Value::None)
    }

    fn push(&mut self, value: Value) -> Result<(), PickleError> {
        if self.values.len() >= MAX_VALUES {
            return Err(PickleError::TooLarge { what: "values", limit: MAX_VALUES });
        }
        self.stack.push(self.values.len() as Id);
        self.values.push(value);
        Ok(())
    }

    fn top(&self) -> Result<Id, PickleError> {
        self.stack.last().copied().ok_or_else(|| self.malformed("an empty stack"))
    }

    fn pop(&mut self) -> Result<Id, PickleError> {
        Ok(self.pop_many(1)?[0])
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, PickleError> {
        // Marks fence off what lies below them.
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= floor => Ok(self.stack.split_off(start)),
            _ => Err(self.malformed("too few values on the stack")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, PickleError> {
        let mark = self.marks.pop().ok_or_else(|| self.malformed("no mark on the stack"))?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or(PickleError::Truncated { offset: self.bytes.len() })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn malformed(&self, what: &'static str) -> PickleError {
        PickleError::Malformed { offset: self.op_at, what }
    }
}
