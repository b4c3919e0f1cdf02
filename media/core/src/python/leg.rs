//! A leg: what is asked of it, and its counters.

use super::engine::Call;
use super::sounds::Prompt;
use super::{ip, refused, scaled, system};
use crate::codec::Codec;
use crate::content::{Agreed, Parameters, Protect};
use crate::engine::LegHandle;
use crate::listening::answering::Sign;
use crate::peer::Named;
use crate::srtp::{self, MasterKey, Suite};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

type Address = (String, u16);
/// Suite, our key, the peer's key, octets of the identifier in the peer's packets.
type Keys = (String, Vec<u8>, Vec<u8>, usize);

/// One leg; dropping it closes it.
#[pyclass(frozen, module = "media._native")]
pub struct Leg(pub(super) LegHandle);

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
        let agreed = Agreed {
            codec: Codec::from_name(codec)
                .ok_or_else(|| PyValueError::new_err(format!("unknown codec {codec}")))?,
            payload_type,
            send_event: telephone_event,
            receive_event: receive_telephone_event,
            comfort_noise,
            send,
            receive,
        };
        let protection = protection.map(protect).transpose()?;
        self.0.set_parameters(Parameters { named, agreed, protection }).map_err(refused)
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
        let per_ms = f64::from(counters.codec().map_or(8, Codec::ticks_per_ms));
        Statistics {
            codec: counters.codec().map(Codec::name),
            packets_in: counters.packets_in.get(),
            packets_out: counters.packets_out.get(),
            octets_in: counters.octets_in.get(),
            octets_out: counters.octets_out.get(),
            lost: counters.lost.get(),
            late: counters.late.get(),
            duplicates: counters.duplicates.get(),
            jitter_ms: counters.jitter_16.get() as f64 / (16.0 * per_ms),
            longest_gap_ms: counters.longest_gap.get() / 1_000,
            foreign: counters.foreign.get(),
            malformed: counters.malformed.get(),
            unauthenticated: counters.unauthenticated.get(),
            replayed: counters.replayed.get(),
            dropped: counters.dropped.get(),
            rtcp_in: counters.rtcp_in.get(),
            rtcp_out: counters.rtcp_out.get(),
            remote_lost: heard.then(|| counters.remote_lost.get()),
            remote_jitter_ms: heard.then(|| counters.remote_jitter.get() as f64 / per_ms),
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
pub struct Statistics {
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
