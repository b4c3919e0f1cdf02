//! The native core of `media`: worker threads that own RTP sockets and everything that happens per packet.
//!
//! Python decides per call, this acts per packet. Only this file knows Python (feature `python`); `_native.pyi`
//! beside the package is the contract of what it exports.

pub mod allocator;
pub mod content;
pub mod counters;
pub mod dialling;
pub mod dtmf;
pub mod engine;
pub mod g711;
pub mod hearing;
pub mod leg;
pub mod listening;
pub mod mailbox;
pub mod mix;
pub mod outgoing;
pub mod pacer;
pub mod peer;
pub mod ports;
pub mod prompt;
pub mod reception;
pub mod reporting;
pub mod resample;
pub mod ringback;
pub mod rtcp;
pub mod rtp;
pub mod schedule;
pub mod socket;
pub mod srtp;
pub mod wav;
pub mod worker;

#[cfg(feature = "python")]
#[pyo3::pymodule(gil_used = false)]
mod _native {
    use crate::allocator::OpenError;
    use crate::content::{Parameters, Protect};
    use crate::engine::{self, Link, Refused, Settings};
    use crate::g711::Codec;
    use crate::listening::answering::Sign;
    use crate::mailbox::Event;
    use crate::peer::{Latching, Named};
    use crate::prompt;
    use crate::ringback::Cadence;
    use crate::socket::Options;
    use crate::srtp::{self, MasterKey, Suite};
    use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
    use pyo3::prelude::*;
    use rustix::fd::{AsRawFd, RawFd};
    use rustix::io::Errno;
    use std::collections::VecDeque;
    use std::net::{IpAddr, SocketAddr};
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    pyo3::create_exception!(media._native, Exhausted, pyo3::exceptions::PyException);

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("Exhausted", module.py().get_type::<Exhausted>())
    }

    type Address = (String, u16);
    /// Suite, our key, the peer's key, octets of the identifier in the peer's packets.
    type Keys = (String, Vec<u8>, Vec<u8>, usize);
    type EventTuple = (&'static str, u64, String, u32);

    /// The worker threads and the ports; see `_native.pyi`.
    #[pyclass(frozen, module = "media._native")]
    struct Engine(engine::Engine);

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

        fn open_leg(&self, call: &Call, latching: &str) -> PyResult<Leg> {
            let latching = Latching::from_name(latching)
                .ok_or_else(|| PyValueError::new_err(format!("unknown latching {latching}")))?;
            self.0.open_leg(&call.0, latching).map(Leg).map_err(|error| match error {
                OpenError::Exhausted => Exhausted::new_err("no RTP/RTCP port pair is free"),
                OpenError::System(error) => system(error),
            })
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
    struct Call(Arc<Link>);

    #[pymethods]
    impl Call {
        #[getter]
        fn worker(&self) -> u64 {
            self.0.number
        }
    }

    /// A prompt, shared by all calls.
    #[pyclass(frozen, module = "media._native")]
    struct Prompt(Arc<prompt::Prompt>);

    #[pymethods]
    impl Prompt {
        #[staticmethod]
        fn load(py: Python<'_>, path: std::path::PathBuf) -> PyResult<Self> {
            let loaded = py.detach(|| prompt::Prompt::load(&path));
            let loaded =
                loaded.map_err(|error| PyValueError::new_err(format!("{}: {error}", path.display())))?;
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
    }

    /// One leg; dropping it closes it.
    #[pyclass(frozen, module = "media._native")]
    struct Leg(engine::LegHandle);

    #[pymethods]
    impl Leg {
        #[getter]
        fn id(&self) -> u64 {
            self.0.id
        }

        #[getter]
        fn ssrc(&self) -> u32 {
            self.0.ssrc
        }

        #[getter]
        fn local_address(&self) -> Address {
            (self.0.local.ip().to_string(), self.0.local.port())
        }

        #[expect(clippy::too_many_arguments, reason = "the fields of StreamParameters, in their order")]
        fn set_remote(
            &self,
            remote: Option<Address>,
            remote_rtcp: Option<Address>,
            codec: &str,
            payload_type: u8,
            telephone_event: Option<u8>,
            receive_telephone_event: Option<u8>,
            send: bool,
            receive: bool,
            rtcp_mux: bool,
            comfort_noise: bool,
            protection: Option<Keys>,
        ) -> PyResult<()> {
            let types = [Some(payload_type), telephone_event, receive_telephone_event];
            if types.into_iter().flatten().any(|payload_type| payload_type > 127) {
                return Err(PyValueError::new_err("a payload type is 0..127"));
            }
            let named = Named {
                rtp: remote.map(socket_address).transpose()?.filter(is_reachable),
                rtcp: remote_rtcp.map(socket_address).transpose()?.filter(is_reachable),
                mux: rtcp_mux,
            };
            let parameters = Parameters {
                named,
                codec: Codec::from_name(codec)
                    .ok_or_else(|| PyValueError::new_err(format!("unknown codec {codec}")))?,
                payload_type,
                send_event: telephone_event,
                receive_event: receive_telephone_event,
                comfort_noise,
                send,
                receive,
                protection: protection.map(protect).transpose()?,
            };
            self.0.set_parameters(parameters).map_err(refused)
        }

        fn set_media_timeout(&self, seconds: Option<f64>) -> PyResult<()> {
            let timeout = seconds.map(|seconds| scaled(seconds, 1e6)).transpose()?;
            self.0.set_timeout(timeout).map_err(refused)
        }

        fn bridge(&self, other: &Leg) -> PyResult<()> {
            self.0.bridge(&other.0).map_err(refused)
        }

        fn hear(&self, other: &Leg) -> PyResult<()> {
            self.0.hear(&other.0).map_err(refused)
        }

        fn mix(&self, one: &Leg, other: &Leg) -> PyResult<()> {
            self.0.mix(&one.0, &other.0).map_err(refused)
        }

        fn hear_silence(&self) -> PyResult<()> {
            self.0.hear_silence().map_err(refused)
        }

        fn play(&self, prompt: &Prompt, r#loop: bool) -> PyResult<()> {
            self.0.play(Arc::clone(&prompt.0), r#loop).map_err(refused)
        }

        fn hear_when_heard(&self, other: &Leg, within: f64) -> PyResult<()> {
            self.0.hear_when_heard(&other.0, scaled(within, 1e6)?).map_err(refused)
        }

        fn watch_silence(&self, quiet: Option<f64>) -> PyResult<()> {
            let limit = quiet.map(|seconds| scaled(seconds, 1e6)).transpose()?;
            self.0.watch_silence(limit).map_err(refused)
        }

        fn listen_for_keys(&self, wanted: bool) -> PyResult<()> {
            self.0.listen_for_keys(wanted).map_err(refused)
        }

        fn judge_answer(&self, sign: Option<&str>) -> PyResult<()> {
            let unknown = |name| PyValueError::new_err(format!("unknown sign {name}"));
            let sign = sign.map(|name| Sign::from_name(name).ok_or_else(|| unknown(name))).transpose()?;
            self.0.judge_answer(sign).map_err(refused)
        }

        fn unbridge(&self) -> PyResult<()> {
            self.0.unbridge().map_err(refused)
        }

        fn move_to(&self, py: Python<'_>, call: &Call) -> PyResult<()> {
            py.detach(|| self.0.move_to(&call.0)).map_err(refused)
        }

        fn digit_delivered(&self) {
            self.0.counters.pending_digits.fetch_sub(1, Ordering::Relaxed);
        }

        fn statistics(&self) -> Statistics {
            let counters = &self.0.counters;
            let heard = counters.remote_reports.get() > 0;
            Statistics {
                codec: counters.codec().map(Codec::name),
                packets_in: counters.packets_in.get(),
                packets_out: counters.packets_out.get(),
                octets_in: counters.octets_in.get(),
                octets_out: counters.octets_out.get(),
                lost: counters.lost.get(),
                late: counters.late.get(),
                duplicates: counters.duplicates.get(),
                jitter_ms: counters.jitter_16.get() as f64 / 128.0,
                longest_gap_ms: counters.longest_gap.get() / 1_000,
                foreign: counters.foreign.get(),
                malformed: counters.malformed.get(),
                unauthenticated: counters.unauthenticated.get(),
                replayed: counters.replayed.get(),
                dropped: counters.dropped.get(),
                rtcp_in: counters.rtcp_in.get(),
                rtcp_out: counters.rtcp_out.get(),
                remote_lost: heard.then(|| counters.remote_lost.get()),
                remote_jitter_ms: heard.then(|| counters.remote_jitter.get() as f64 / 8.0),
                round_trip_ms: (counters.round_trips.get() > 0)
                    .then(|| counters.round_trip.get() as f64 / 1_000.0),
            }
        }

        fn close(&self) {
            self.0.close();
        }
    }

    /// A copy of a leg's counters.
    #[pyclass(frozen, get_all, module = "media._native")]
    struct Statistics {
        codec: Option<&'static str>,
        packets_in: u64,
        packets_out: u64,
        octets_in: u64,
        octets_out: u64,
        lost: u64,
        late: u64,
        duplicates: u64,
        jitter_ms: f64,
        longest_gap_ms: u64,
        foreign: u64,
        malformed: u64,
        unauthenticated: u64,
        replayed: u64,
        dropped: u64,
        rtcp_in: u64,
        rtcp_out: u64,
        remote_lost: Option<u64>,
        remote_jitter_ms: Option<f64>,
        round_trip_ms: Option<f64>,
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
            Event::WorkerLost { worker } => ("worker_lost", worker, String::new(), 0),
        }
    }

    fn ip(text: &str) -> PyResult<IpAddr> {
        text.parse().map_err(|_| PyValueError::new_err(format!("not an IP address: {text}")))
    }

    fn socket_address((host, port): Address) -> PyResult<SocketAddr> {
        Ok(SocketAddr::new(ip(&host)?, port))
    }

    fn protect((suite, ours, theirs, their_identifier): Keys) -> PyResult<Box<Protect>> {
        let wrong = || PyValueError::new_err("a key does not fit its suite");
        let suite = Suite::from_name(&suite)
            .ok_or_else(|| PyValueError::new_err(format!("unknown crypto suite {suite}")))?;
        let keys = srtp::Keys {
            ours: MasterKey::new(suite, &ours).ok_or_else(wrong)?,
            theirs: MasterKey::new(suite, &theirs).ok_or_else(wrong)?,
            their_identifier,
        };
        let mut random = [0; 6];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).map_err(system)?;
        let [a, b, c, d, e, f] = random;
        let fresh = (u32::from_ne_bytes([a, b, c, d]), u16::from_ne_bytes([e, f]));
        Ok(Box::new(Protect { keys, fresh }))
    }

    /// An address that means "hold" or is no use is none.
    fn is_reachable(address: &SocketAddr) -> bool {
        !address.ip().is_unspecified() && address.port() != 0
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
}
