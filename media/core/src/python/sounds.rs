//! Prompts: what is played to whom it may concern.

use crate::prompt;
use crate::ringback::Cadence;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::Arc;

/// A prompt, shared by all calls.
#[pyclass(frozen, module = "media._native")]
pub struct Prompt(pub(super) Arc<prompt::Prompt>);

#[pymethods]
impl Prompt {
    #[staticmethod]
    fn load(py: Python<'_>, path: std::path::PathBuf) -> PyResult<Self> {
        let loaded = py.detach(|| prompt::Prompt::load(&path));
        let loaded = loaded.map_err(|error| PyValueError::new_err(format!("{}: {error}", path.display())))?;
        Ok(Prompt(Arc::new(loaded)))
    }

    #[staticmethod]
    fn ringback(country: &str) -> PyResult<Self> {
        let cadence = Cadence::named(country)
            .ok_or_else(|| PyValueError::new_err(format!("no ringing tone of {country} is known")))?;
        Ok(Prompt(Arc::new(prompt::Prompt::from_samples(&cadence.samples()))))
    }

    #[staticmethod]
    fn digits(text: &str) -> PyResult<Self> {
        let digits = prompt::Prompt::digits(text)
            .ok_or_else(|| PyValueError::new_err("digits are 0-9, *, #, A-D, and the waits w and W"))?;
        Ok(Prompt(Arc::new(digits)))
    }

    #[getter]
    fn duration_ms(&self) -> usize {
        self.0.samples() / 8
    }

    fn mu_law(&self, looped: bool) -> Vec<u8> {
        self.0.mu_law(looped)
    }
}
