//! What Python sees of the core: `media._native`. Values are checked and converted here, and errors get their names.

mod bencode;
mod engine;
mod leg;
mod recording;
mod sounds;

use crate::engine::Refused;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use rustix::io::Errno;
use std::net::IpAddr;

pyo3::create_exception!(media._native, Exhausted, pyo3::exceptions::PyException);

#[pyo3::pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::bencode::read_bencode;
    #[pymodule_export]
    use super::engine::{Call, Engine};
    #[pymodule_export]
    use super::leg::{Leg, Statistics};
    #[pymodule_export]
    use super::recording::Recording;
    #[pymodule_export]
    use super::sounds::Prompt;
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("Exhausted", module.py().get_type::<Exhausted>())
    }
}

fn ip(text: &str) -> PyResult<IpAddr> {
    text.parse().map_err(|_| PyValueError::new_err(format!("not an IP address: {text}")))
}

/// Seconds to whole smaller units.
fn scaled(seconds: f64, units: f64) -> PyResult<u64> {
    if (0.0..=1e9).contains(&seconds) {
        return Ok((seconds * units) as u64);
    }
    Err(PyValueError::new_err("a duration is between 0 and 1e9 seconds"))
}

fn refused(refused: Refused) -> PyErr {
    PyRuntimeError::new_err(match refused {
        Refused::Lost => "the media worker is gone",
        Refused::Overloaded => "too many commands wait for the media worker",
    })
}

fn system(error: Errno) -> PyErr {
    PyOSError::new_err((error.raw_os_error(), std::io::Error::from(error).to_string()))
}
