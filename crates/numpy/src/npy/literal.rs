//! The dictionary in an `.npy` header, read as data.
//!
//! NumPy evaluates it as a Python literal. Here nothing is evaluated and nothing nests: a value
//! is a string, `True`, `False` or a tuple of whole numbers, so a single pass reads any header.

use ndbridge_tensor::{MAX_NDIM, Order};

use crate::reason::FormatError;

/// The three values of a header.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    pub descr: &'a [u8],
    /// Where `descr` stands in the text, in bytes.
    pub descr_at: usize,
    pub order: Order,
    pub shape: Vec<usize>,
    /// Where the shape stands in the text, in bytes.
    pub shape_at: usize,
}

/// What is wrong, and at which byte of the text.
type Fault = (usize, FormatError);

/// Longest piece of a header that an error repeats, in bytes.
const SHOWN_BYTES: usize = 60;

/// Reads the text of a header, without the length before it.
pub(super) fn parse(text: &[u8]) -> Result<Fields<'_>, Fault> {
    let mut literal = Literal { text, at: 0 };
    let fields = literal.dict()?;
    literal.skip_space();
    match literal.peek() {
        None => Ok(fields),
        Some(_) => Err(literal.expected("the end after '}'")),
    }
}

struct Literal<'a> {
    text: &'a [u8],
    // INVARIANT: `at <= text.len()`.
    at: usize,
}

impl<'a> Literal<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')) {
            self.at += 1;
        }
    }

    /// Skips space, then `byte` if it is there.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn expected(&self, expected: &'static str) -> Fault {
        (self.at, FormatError::Syntax { expected, found: self.peek() })
    }

    fn need(&mut self, byte: u8, name: &'static str) -> Result<(), Fault> {
        if self.take(byte) { Ok(()) } else { Err(self.expected(name)) }
    }

    fn dict(&mut self) -> Result<Fields<'a>, Fault> {
        let (mut descr, mut order, mut shape) = (None, None, None);
        self.need(b'{', "'{'")?;
        while !self.take(b'}') {
            let key_at = self.at;
            let key = self.string("a key in quotes or '}'")?;
            self.need(b':', "':'")?;
            self.skip_space();
            let value_at = self.at;
            let is_new = match key {
                b"descr" => descr.replace((self.descr()?, value_at)).is_none(),
                b"fortran_order" => order.replace(self.order()?).is_none(),
                b"shape" => shape.replace((self.shape()?, value_at)).is_none(),
                _ => return Err((key_at, FormatError::UnknownKey { key: shown(key) })),
            };
            if !is_new {
                return Err((key_at, FormatError::RepeatedKey { key: known_key(key) }));
            }
            if !self.take(b',') {
                self.need(b'}', "',' or '}'")?;
                break;
            }
        }
        let missing = |key| (self.at, FormatError::MissingKey { key });
        let (descr, descr_at) = descr.ok_or_else(|| missing("descr"))?;
        let order = order.ok_or_else(|| missing("fortran_order"))?;
        let (shape, shape_at) = shape.ok_or_else(|| missing("shape"))?;
        Ok(Fields { descr, descr_at, order, shape, shape_at })
    }

    fn descr(&mut self) -> Result<&'a [u8], Fault> {
        if matches!(self.peek(), Some(b'[' | b'(' | b'{')) {
            let descr = shown(&self.text[self.at..]);
            return Err((self.at, FormatError::Structured { descr }));
        }
        self.string("a type string in quotes")
    }

    /// Text in quotes. No writer of type strings needs a backslash, so none is read.
    fn string(&mut self, expected: &'static str) -> Result<&'a [u8], Fault> {
        self.skip_space();
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            _ => return Err(self.expected(expected)),
        };
        let start = self.at + 1;
        self.at = start;
        while self.peek().is_some_and(|byte| byte != quote && byte != b'\\' && byte != b'\n') {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        if self.peek() != Some(quote) {
            return Err(self.expected("a closing quote"));
        }
        self.at += 1;
        Ok(text)
    }

    fn order(&mut self) -> Result<Order, Fault> {
        let rest = &self.text[self.at..];
        let (word, order): (&[u8], _) =
            if rest.starts_with(b"False") { (b"False", Order::C) } else { (b"True", Order::F) };
        if !rest.starts_with(word) {
            return Err(self.expected("True or False"));
        }
        self.at += word.len();
        Ok(order)
    }

    fn shape(&mut self) -> Result<Vec<usize>, Fault> {
        let start = self.at;
        let mut shape = Vec::new();
        let mut has_comma = true;
        self.need(b'(', "a tuple '('")?;
        while !self.take(b')') {
            if !has_comma {
                return Err(self.expected("',' or ')'"));
            }
            if shape.len() == MAX_NDIM {
                return Err((self.at, FormatError::TooManyAxes { limit: MAX_NDIM }));
            }
            let axis = shape.len();
            shape.push(self.length(axis)?);
            has_comma = self.take(b',');
        }
        if shape.len() == 1 && !has_comma {
            // `(3)` is a number in Python, not a tuple.
            self.at = start;
            return Err(self.expected("a tuple such as (3,)"));
        }
        Ok(shape)
    }

    fn length(&mut self, axis: usize) -> Result<usize, Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            return Err((start, FormatError::NegativeLength { axis }));
        }
        let mut length = 0_usize;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            length = length
                .checked_mul(10)
                .and_then(|tens| tens.checked_add(usize::from(digit - b'0')))
                .ok_or((start, FormatError::LengthOverflow { axis }))?;
            self.at += 1;
        }
        if self.at == start {
            return Err(self.expected("the length of an axis or ')'"));
        }
        if self.peek() == Some(b'L') {
            // Python 2 marked long integers so.
            self.at += 1;
        }
        Ok(length)
    }
}

fn known_key(key: &[u8]) -> &'static str {
    match key {
        b"descr" => "descr",
        b"shape" => "shape",
        _ => "fortran_order",
    }
}

/// The start of a text from a file, as far as an error repeats it.
pub(super) fn shown(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(SHOWN_BYTES)];
    String::from_utf8_lossy(head).trim_end().to_owned()
}
