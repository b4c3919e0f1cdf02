//! The engine, its calls, and what it tells.

use super::leg::Leg;
use super::recording::Recording;
use super::{Exhausted, ip, scaled, system};
use crate::allocator::OpenError;
use crate::engine::{self, Link, Settings};
use crate::mailbox::Event;
use crate::peer::Latching;
use crate::socket::Options;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rustix::fd::{AsRawFd, RawFd};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

type EventTuple = (&'static str, u64, String, u32);

/// The worker threads and the ports; see `_native.pyi`.
#[pyclass(frozen, module = "media._native")]
pub struct Engine(engine::Engine);

#[pymethods]
impl Engine {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "the fields of NativeSettings, in their order")]
    fn new(
        address: &str,
        low: u16,
        high: u16,
        quarantine: f64,
        workers: usize,
        receive_buffer: usize,
        gather: f64,
        dscp: u8,
    ) -> PyResult<Self> {
        if dscp > 63 {
            return Err(PyValueError::new_err("a DSCP is 0..63"));
        }
        let settings = Settings {
            address: ip(address)?,
            low,
            high,
            quarantine: scaled(quarantine, 1e3)?,
            workers,
            options: Options { receive_buffer, dscp },
            gather: scaled(gather, 1e6)?.min(100_000),
        };
        engine::Engine::start(&settings).map(Engine).map_err(system)
    }

    fn fileno(&self) -> RawFd {
        self.0.events().fd().as_raw_fd()
    }

    #[getter]
    fn capacity(&self) -> usize {
        self.0.allocator().capacity()
    }

    #[getter]
    fn free_ports(&self) -> usize {
        self.0.allocator().free()
    }

    fn open_call(&self) -> PyResult<Call> {
        self.0.choose_worker().map(Call).map_err(system)
    }

    fn open_leg(&self, call: &Call, latching: &str, signalling: Option<&str>) -> PyResult<Leg> {
        let latching = Latching::from_name(latching)
            .ok_or_else(|| PyValueError::new_err(format!("unknown latching {latching}")))?;
        // A hint: the zone of a link-local address (RFC 4007) is none.
        let signalling = signalling.and_then(|host| host.split('%').next()?.parse().ok());
        self.0.open_leg(&call.0, latching, signalling).map(Leg).map_err(|error| match error {
            OpenError::Exhausted => Exhausted::new_err("no RTP/RTCP port pair is free"),
            OpenError::System(error) => system(error),
        })
    }

    fn record(&self, leg: &Leg, path: PathBuf) -> PyResult<Recording> {
        self.0.record(&leg.0, path).map(Recording).map_err(system)
    }

    fn drain(&self) -> Vec<EventTuple> {
        let mut events = VecDeque::new();
        self.0.events().take(&mut events);
        events.into_iter().map(tuple).collect()
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }
}

/// Binds the legs of a call to one worker.
#[pyclass(frozen, module = "media._native")]
pub struct Call(pub(super) Arc<Link>);

#[pymethods]
impl Call {
    #[getter]
    fn worker(&self) -> u64 {
        self.0.number
    }
}

fn tuple(event: Event) -> EventTuple {
    match event {
        Event::FirstPacket { leg } => ("first_packet", leg, String::new(), 0),
        Event::MediaTimeout { leg } => ("media_timeout", leg, String::new(), 0),
        Event::Digit { leg, character, duration, in_band } => {
            let name = if in_band { "tone_digit" } else { "digit" };
            (name, leg, char::from(character).to_string(), duration)
        }
        Event::AnswerJudged { leg, machine } => ("answer_judged", leg, String::new(), u32::from(machine)),
        Event::Switched { leg, heard } => ("switched", leg, String::new(), u32::from(heard)),
        Event::Quiet { leg } => ("quiet", leg, String::new(), 0),
        Event::PromptEnded { leg } => ("prompt_ended", leg, String::new(), 0),
        Event::RecordingEnded { recording, error } => {
            let why =
                if error == 0 { String::new() } else { std::io::Error::from_raw_os_error(error).to_string() };
            ("recording_ended", recording, why, 0)
        }
        Event::WorkerLost { worker } => ("worker_lost", worker, String::new(), 0),
    }
}
