//! Load for RTP relays. Driven by `benchmarks/relay.py`.
//!
//! `relay_load WARMUP SECONDS PCMU|PCMA [peer|stranger RATE]` plays both peers of many calls, the second with the given law:
//! prints the addresses of its sockets, reads the process ids of the relay, then one line `ADDRESS[=KEY] ADDRESS[=KEY]` per
//! call (where the relay takes each side, and the key it sends under in hexadecimal where that side is SRTP) until an empty
//! line, sends 50 packets per second and side, evenly spread, and prints one line of figures with the relay's CPU time. With
//! RATE the first call is not measured: after the warm-up its first side gets so many packets per second more, from where its
//! peer sends or from a stranger.
//! It is one thread; pin it with taskset.
//!
//! A latency is from before the call that sends a packet to the system's stamp of the one that comes back, which on loopback
//! is made while the relay is in its own call. So what waits here until it is read counts for nothing, and the way to the
//! relay counts with its own time. Packets that are sent late, because a neighbour had this core, go out as fast as they can
//! until the load is even again, a burst that no relay gets from calls: they are counted like all others, and once more
//! left out (`punctual_p99_us`). What a punctual packet waits behind such a burst stays in both.

mod figures;
mod peers;

use _native::rtp::HEADER;
use _native::srtp::{Cipher, MAX_TRAILER, MasterKey, Stream as Keys, Suite};
use figures::Figures;
use peers::{Arrival, Peers, open};
use rustix::fd::OwnedFd;
use rustix::net::{SendFlags, SocketAddrAny, sendto};
use std::collections::HashMap;
use std::io::{Error, Result, Write, stdin, stdout};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Sockets that play all peers. Few, so that the generator costs less than what it measures.
const SOCKETS: usize = 4;
const PERIOD: Duration = Duration::from_millis(20);
/// So many packets that were sent, or so long a time, make it worth reading a socket.
const WORTH_READING: u32 = 16;
const UNREAD: Duration = Duration::from_micros(50);
/// Behind its time by so much a packet is sent late: reading a full socket takes less.
const LATE: Duration = Duration::from_micros(100);
const PACKET: usize = 172;
/// The suites of the first and the second side, where they are SRTP, and the octet that fills the keys we send under. The
/// suites differ, or rtpengine would hand the packets of one side to the other as they are.
const SUITES: [Suite; 2] = [Suite::AesCm128HmacSha1_32, Suite::AesCm128HmacSha1_80];
const KEY: [u8; 30] = [0x42; 30];
/// Marks our packets, so that nothing else is counted.
const MAGIC: u32 = 0x10ad_10ad;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [warmup, seconds, law] => load(number(warmup)?, number(seconds)?, law == "PCMA", None),
        [warmup, seconds, law, from @ ("peer" | "stranger"), rate] => {
            let flood = Flood { rate: number(rate)?, strange: from == "stranger", sent: 0 };
            load(number(warmup)?, number(seconds)?, law == "PCMA", Some(flood))
        }
        _ => Err(Error::other("usage: relay_load WARMUP SECONDS PCMU|PCMA [peer|stranger RATE]")),
    }
}

fn number(text: &str) -> Result<u64> {
    text.parse().map_err(Error::other)
}

/// One side of a call of the relay.
struct Side {
    address: SocketAddr,
    /// The relay's key, where the side is SRTP.
    key: Option<Vec<u8>>,
}

impl Side {
    fn read(text: &str) -> Result<Self> {
        let (address, key) = text.split_once('=').map_or((text, None), |(address, key)| (address, Some(key)));
        let octet = |at: usize, key: &str| u8::from_str_radix(key.get(at..at + 2).unwrap_or("?"), 16);
        let key = key.map(|key| (0..key.len()).step_by(2).map(|at| octet(at, key)).collect());
        Ok(Side {
            address: address.parse().map_err(Error::other)?,
            key: key.transpose().map_err(Error::other)?,
        })
    }
}

fn cipher(suite: Suite, key: &[u8]) -> Result<Cipher> {
    let cipher = MasterKey::new(suite, key).and_then(|key| Cipher::new(&key, Keys::Rtp));
    cipher.ok_or(Error::other("a key of the wrong length"))
}

/// Reads lines of two sides until an empty one.
fn read_pairs() -> Result<Vec<[Side; 2]>> {
    let mut pairs = Vec::new();
    for line in stdin().lines() {
        let line = line?;
        let Some((a, b)) = line.split_once(' ') else {
            break;
        };
        pairs.push([Side::read(a)?, Side::read(b)?]);
    }
    Ok(pairs)
}

/// One stream toward one side of the relay.
struct Stream {
    to: SocketAddrAny,
    socket: usize,
    sequence: u16,
    a_law: bool,
    measured: bool,
    /// What we send under, where it is SRTP.
    cipher: Option<Cipher>,
}

/// Packets to one side of the relay, far more than a call has.
struct Flood {
    /// Per second.
    rate: u64,
    /// From a socket that is the peer of nobody.
    strange: bool,
    sent: u64,
}

fn load(warmup: u64, seconds: u64, second_a_law: bool, flood: Option<Flood>) -> Result<()> {
    let peers = Peers::open(SOCKETS)?;
    let (stranger, _) = open(65_536)?;
    for (_, address) in &peers.sockets {
        print!("{address} ");
    }
    println!();
    stdout().flush()?;
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    let pids: Vec<u64> = line.split_whitespace().map(number).collect::<Result<_>>()?;
    let mut streams: Vec<Stream> = Vec::new();
    let mut heard = HashMap::new();
    for pair in read_pairs()? {
        for ((side, a_law), suite) in pair.into_iter().zip([false, second_a_law]).zip(SUITES) {
            let (to, socket) = (side.address.into(), streams.len() % SOCKETS);
            let ours = side.key.as_ref().map(|_| cipher(suite, &KEY)).transpose()?;
            if let Some(key) = &side.key {
                heard.insert(side.address, cipher(suite, key)?);
            }
            // Streams keep their place: relays are told which of our sockets is the peer of which side.
            let measured = flood.is_none() || streams.len() > 1;
            streams.push(Stream { to, socket, sequence: 0, a_law, measured, cipher: ours });
        }
    }
    let (started, figures) = (time(), Figures::new());
    let mut generator = Generator { peers, stranger, streams, heard, started, figures, flood: None };
    generator.play(Duration::from_secs(warmup));
    (generator.figures, generator.flood) = (Figures::new(), flood);
    let (cpu, begun) = (cpu_time(&pids)?, Instant::now());
    generator.play(Duration::from_secs(seconds));
    let (after, elapsed) = (cpu_time(&pids)?, begun.elapsed());
    // What is still inside the relay belongs to the window that sent it.
    let grace = Instant::now();
    while grace.elapsed() < Duration::from_millis(300) {
        generator.receive();
    }
    let figures = &generator.figures;
    println!(
        "{{\"sent\": {}, \"sent_late\": {}, \"received\": {}, \"p50_us\": {}, \"p99_us\": {}, \"punctual_p99_us\": {}, \
         \"max_us\": {}, \"cpu_ns\": {}, \"wait_ns\": {}, \"elapsed_ns\": {}, \"flooded\": {}}}",
        figures.sent,
        figures.sent_late,
        figures.received,
        figures.latencies.percentile(0.5),
        figures.latencies.percentile(0.99),
        figures.punctual.percentile(0.99),
        figures.latencies.percentile(1.0),
        after.0 - cpu.0,
        after.1 - cpu.1,
        elapsed.as_nanos(),
        generator.flood.as_ref().map_or(0, |flood| flood.sent)
    );
    Ok(())
}

struct Generator {
    peers: Peers,
    stranger: OwnedFd,
    streams: Vec<Stream>,
    /// What the relay sends under, by where it sends from.
    heard: HashMap<SocketAddr, Cipher>,
    /// By the clock of the stamps.
    started: Duration,
    figures: Figures,
    flood: Option<Flood>,
}

impl Generator {
    /// Sends every stream once per period, evenly spread over it, and receives in between. Never sleeps.
    fn play(&mut self, duration: Duration) {
        let begun = Instant::now();
        let step = PERIOD / self.streams.len().max(1) as u32;
        let (mut next, mut due) = (0, Duration::ZERO);
        let (mut unread, mut read) = (0, Duration::ZERO);
        while begun.elapsed() < duration {
            for _ in 0..32 {
                let Some(behind) = begun.elapsed().checked_sub(due) else {
                    break;
                };
                self.send(next, behind > LATE);
                next = (next + 1) % self.streams.len();
                due += step;
                unread += 1;
            }
            let now = begun.elapsed();
            self.flood(now.as_nanos() as u64);
            if unread >= WORTH_READING || now - read >= UNREAD {
                self.receive();
                (unread, read) = (0, now);
            }
        }
    }

    /// What the flood owes by now, in nanoseconds since it began, a few at a time.
    fn flood(&mut self, now: u64) {
        let (Some(flood), Some(victim)) = (&mut self.flood, self.streams.first_mut()) else {
            return;
        };
        let from = if flood.strange { &self.stranger } else { &self.peers.sockets[victim.socket].0 };
        let owed = (flood.rate * (now / 1000) / 1_000_000).saturating_sub(flood.sent).min(32);
        for _ in 0..owed {
            let mut packet = [0xd5_u8; PACKET];
            packet[..2].copy_from_slice(&[0x80, 0]);
            packet[2..4].copy_from_slice(&victim.sequence.to_be_bytes());
            packet[4..8].copy_from_slice(&(u32::from(victim.sequence) * 160).to_be_bytes());
            packet[8..12].copy_from_slice(&1_u32.to_be_bytes());
            victim.sequence = victim.sequence.wrapping_add(1);
            // As with any packet: what does not fit is lost.
            let _ = sendto(from, &packet, SendFlags::empty(), &victim.to);
            flood.sent += 1;
        }
    }

    fn send(&mut self, index: usize, late: bool) {
        let stamp = (time() - self.started).as_micros() as u32;
        let stream = &mut self.streams[index];
        let mut packet = [0xd5_u8; PACKET + MAX_TRAILER];
        packet[..2].copy_from_slice(&[0x80, if stream.a_law { 8 } else { 0 }]);
        packet[2..4].copy_from_slice(&stream.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(stream.sequence) * 160).to_be_bytes());
        packet[8..12].copy_from_slice(&(index as u32 + 1).to_be_bytes());
        write_number(&mut packet[12..20], if stream.measured { MAGIC } else { 0 }, stream.a_law);
        write_number(&mut packet[20..28], stamp, stream.a_law);
        write_number(&mut packet[28..29], late.into(), stream.a_law);
        let length = match &stream.cipher {
            None => Some(PACKET),
            Some(cipher) => {
                let (ssrc, index) = (index as u32 + 1, u64::from(stream.sequence));
                cipher.protect_rtp(&mut packet, HEADER, PACKET, ssrc, index)
            }
        };
        // Far from the wrap in any run, so that the timestamp above stays 160 per packet.
        stream.sequence = stream.sequence.wrapping_add(1);
        let packet = &packet[..length.unwrap_or(0)];
        let sent =
            sendto(&self.peers.sockets[stream.socket].0, packet, SendFlags::empty(), &stream.to).is_ok();
        if sent && stream.measured {
            self.figures.note_sent(late);
        }
    }

    fn receive(&mut self) {
        let Generator { peers, heard, started, figures, .. } = self;
        peers.read(|arrival| {
            if let Some((stamp, late)) = read(&arrival, heard) {
                let at = arrival.at.saturating_sub(*started).as_micros() as u32;
                figures.note_received(at.saturating_sub(stamp) as usize, late);
            }
        });
    }
}

/// Since 1970, by the clock of which the system stamps packets.
fn time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// When a packet of ours was sent, and whether that was late. `None` for anything else.
fn read(arrival: &Arrival<'_>, heard: &HashMap<SocketAddr, Cipher>) -> Option<(u32, bool)> {
    let mut packet = [0; PACKET + MAX_TRAILER];
    let mut length = arrival.data.len();
    packet.get_mut(..length)?.copy_from_slice(arrival.data);
    if let Some(cipher) = heard.get(&arrival.from) {
        if !read_protected(cipher, &mut packet[..length]) {
            return None;
        }
        length = PACKET;
    }
    let a_law = packet[1] & 0x7f == 8;
    let ours = length == PACKET && read_number(&packet[12..20], a_law) == MAGIC;
    ours.then(|| (read_number(&packet[20..28], a_law), read_number(&packet[28..29], a_law) != 0))
}

/// Decrypts a packet of a run that is too short for a rollover.
fn read_protected(cipher: &Cipher, data: &mut [u8]) -> bool {
    if data.len() != PACKET + cipher.tag_length() {
        return false;
    }
    let (packet, tag) = data.split_at_mut(PACKET);
    let sequence = u16::from_be_bytes([packet[2], packet[3]]);
    let ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
    cipher.unprotect_rtp(packet, HEADER, tag, ssrc, sequence.into())
}

/// Writes a number so that it survives transcoding: the sign and segment of a sample carry four bits, and steps 8
/// and 2 lie where the segments of both laws overlap.
fn write_number(octets: &mut [u8], number: u32, a_law: bool) {
    for (index, octet) in octets.iter_mut().enumerate() {
        let nibble = (number >> (4 * index)) as u8 & 0x0f;
        *octet = if a_law { (nibble << 4 | 2) ^ 0xd5 } else { !(nibble << 4 | 8) };
    }
}

/// Reads what `write_number` wrote, by the law in which it arrived.
fn read_number(octets: &[u8], a_law: bool) -> u32 {
    octets.iter().enumerate().fold(0, |number, (index, &octet)| {
        let code = if a_law { octet ^ 0xd5 } else { !octet };
        number | u32::from(code >> 4) << (4 * index)
    })
}

/// Nanoseconds that all threads of some processes ran and waited for a core: exact, where tick counters are not.
fn cpu_time(pids: &[u64]) -> Result<(u64, u64)> {
    let (mut ran, mut waited) = (0, 0);
    let tasks = pids.iter().map(|pid| std::fs::read_dir(format!("/proc/{pid}/task")));
    for task in tasks.collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let mut fields = text.split(' ').map(number);
        ran += fields.next().transpose()?.unwrap_or(0);
        waited += fields.next().transpose()?.unwrap_or(0);
    }
    Ok((ran, waited))
}
