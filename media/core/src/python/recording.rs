//! A recording, as its owner holds it.

use crate::recording;
use pyo3::prelude::*;
use std::sync::Arc;

/// A recording that was begun; see `_native.pyi`.
#[pyclass(frozen, module = "media._native")]
pub struct Recording(pub(super) Arc<recording::Recording>);

#[pymethods]
impl Recording {
    #[getter]
    fn id(&self) -> u64 {
        self.0.id
    }

    #[getter]
    fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    fn pause(&self, paused: bool) {
        self.0.pause(paused);
    }

    fn finish(&self) {
        self.0.finish();
    }
}
