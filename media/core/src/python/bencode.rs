//! Bencoding, in which rtpengine's ng protocol writes its dictionaries, read into values of Python: `i42e`, `4:text`,
//! `l...e`, `d...e`. A reply has some three hundred values, which took Python most of what a leg on rtpengine costs.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

/// Levels of nesting that are read; a reply of rtpengine has about ten.
const DEEPEST: usize = 32;
/// Octets of a number.
const LONGEST_NUMBER: usize = 20;

/// The value that begins at `start` and where it ends; None when `data` ends before it does.
#[pyfunction]
pub fn read_bencode<'py>(
    py: Python<'py>,
    data: &[u8],
    start: usize,
) -> PyResult<Option<(Bound<'py, PyAny>, usize)>> {
    let mut reader = Reader { py, data, at: start };
    match reader.value(0) {
        Ok(value) => Ok(Some((value, reader.at))),
        Err(Fault::Incomplete) => Ok(None),
        Err(Fault::Malformed(what)) => Err(PyValueError::new_err(what)),
        Err(Fault::Python(error)) => Err(error),
    }
}

enum Fault {
    /// The octets may be the beginning of a value.
    Incomplete,
    /// They are none, and why.
    Malformed(&'static str),
    /// No memory, say.
    Python(PyErr),
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Fault::Python(error)
    }
}

struct Reader<'py, 'a> {
    py: Python<'py>,
    data: &'a [u8],
    at: usize,
}

impl<'py, 'a> Reader<'py, 'a> {
    fn value(&mut self, depth: usize) -> Result<Bound<'py, PyAny>, Fault> {
        if depth > DEEPEST {
            return Err(Fault::Malformed("nested too deep"));
        }
        match self.data.get(self.at) {
            None => Err(Fault::Incomplete),
            Some(b'i') => {
                self.at += 1;
                let number = self.number(b'e', true)?;
                Ok(number.into_pyobject(self.py).map_err(PyErr::from)?.into_any())
            }
            Some(b'l') => self.list(depth),
            Some(b'd') => self.dictionary(depth),
            Some(_) => Ok(PyBytes::new(self.py, self.text()?).into_any()),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Bound<'py, PyAny>, Fault> {
        let list = PyList::empty(self.py);
        self.at += 1;
        while !self.ends() {
            list.append(self.value(depth + 1)?)?;
        }
        Ok(list.into_any())
    }

    fn dictionary(&mut self, depth: usize) -> Result<Bound<'py, PyAny>, Fault> {
        let dictionary = PyDict::new(self.py);
        self.at += 1;
        while !self.ends() {
            if matches!(self.data.get(self.at), Some(b'i' | b'l' | b'd')) {
                return Err(Fault::Malformed("a dictionary with a key that is no text"));
            }
            let key = String::from_utf8_lossy(self.text()?);
            if self.data.get(self.at) == Some(&b'e') {
                return Err(Fault::Malformed("a dictionary with a key without a value"));
            }
            dictionary.set_item(key, self.value(depth + 1)?)?;
        }
        Ok(dictionary.into_any())
    }

    /// Whether a list or a dictionary ends here; steps over its end.
    fn ends(&mut self) -> bool {
        let ends = self.data.get(self.at) == Some(&b'e');
        self.at += usize::from(ends);
        ends
    }

    fn text(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.number(b':', false)?;
        let rest = self.data.get(self.at..).unwrap_or_default();
        let text = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let text = text.ok_or(Fault::Incomplete)?;
        self.at += text.len();
        Ok(text)
    }

    /// A number up to its mark.
    fn number(&mut self, mark: u8, signed: bool) -> Result<i128, Fault> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let end = rest.iter().take(LONGEST_NUMBER + 1).position(|octet| *octet == mark);
        let written = &rest[..end.unwrap_or(rest.len().min(LONGEST_NUMBER + 1))];
        let negative = signed && written.first() == Some(&b'-');
        let digits = &written[usize::from(negative)..];
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(Fault::Malformed("not a number"));
        }
        let Some(end) = end else {
            let cut_off = rest.len() <= LONGEST_NUMBER;
            return Err(if cut_off { Fault::Incomplete } else { Fault::Malformed("not a number") });
        };
        if digits.is_empty() {
            return Err(Fault::Malformed("not a number"));
        }
        self.at += end + 1;
        let value = digits.iter().fold(0, |value, digit| value * 10 + i128::from(digit - b'0'));
        Ok(if negative { -value } else { value })
    }
}
