//! What must hold for any input: nothing panics, nothing is counted wrong, no number is sent twice.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use _native::codec::Codec;
use _native::dtmf::{Detector, Event, parse as parse_event};
use _native::g711::{A_TO_MU, MU_TO_A, a_to_linear, mu_to_linear};
use _native::outgoing::{Outgoing, Packet, Source};
use _native::prompt::{FRAME, Prompt};
use _native::reception::{Arrival, Reception};
use _native::rtcp::{self, Block, CNAME_LENGTH, Compound, Sender};
use _native::rtp;
use _native::wav;
use proptest::prelude::*;
use std::collections::HashSet;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_datagram_is_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..2_100)) {
        if let Some(header) = rtp::parse(&data) {
            prop_assert!(header.payload.start >= rtp::HEADER && header.payload.end <= data.len());
            prop_assert!(!header.payload.is_empty() && header.payload_type < 128);
        }
        rtp::is_rtcp(&data);
        parse_event(&data);
    }

    #[test]
    fn what_is_written_is_read_back(
        marker: bool, payload_type in 0..128_u8, sequence: u16, timestamp: u32, ssrc: u32,
        payload in proptest::collection::vec(any::<u8>(), 1..400),
    ) {
        let mut data = vec![0; rtp::HEADER];
        rtp::write(data.first_chunk_mut().unwrap(), marker, payload_type, sequence, timestamp, ssrc);
        data.extend_from_slice(&payload);
        let header = rtp::parse(&data).unwrap();
        prop_assert_eq!(
            (header.marker, header.payload_type, header.sequence, header.timestamp, header.ssrc),
            (marker, payload_type, sequence, timestamp, ssrc)
        );
        prop_assert_eq!(&data[header.payload], &payload[..]);
    }

    #[test]
    fn any_report_is_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..200), ours: u32) {
        rtcp::read(&data, ours);
    }

    /// Damage to a good compound packet: the reader takes it or leaves it, and believes nothing beyond its end.
    #[test]
    fn a_damaged_report_is_read_or_refused(
        block: [u32; 6], at in 0..52_usize, octet: u8, length in 0..88_usize,
    ) {
        let [ssrc, lost, highest, jitter, last_report, delay] = block;
        let block = Block { ssrc, fraction: 0, lost: lost as i32, highest, jitter, last_report, delay };
        let sender = Sender { ntp: 1, timestamp: 2, packets: 3, octets: 4 };
        let compound = Compound::new(7, Some(sender), Some(block), &[b'x'; CNAME_LENGTH]).with_goodbye(7);
        let mut data = compound.octets().to_vec();
        data[at] = octet;
        if let Some(received) = rtcp::read(&data[..length], ssrc) {
            prop_assert!(length >= 28 || received.sender.is_none());
            prop_assert!(length >= 32 || received.block.is_none());
        }
    }

    #[test]
    fn what_is_reported_is_read_back(
        ssrc: u32, ours: u32, ntp: u64, counts: [u32; 3], said: [u32; 4], fraction: u8, lost in -0x80_0000..0x80_0000,
        sends: bool, about_ours: bool,
    ) {
        let [timestamp, packets, octets] = counts;
        let [highest, jitter, last_report, delay] = said;
        let sender = sends.then_some(Sender { ntp, timestamp, packets, octets });
        let about = if about_ours { ours } else { !ours };
        let block = Block { ssrc: about, fraction, lost, highest, jitter, last_report, delay };
        let compound = Compound::new(ssrc, sender, Some(block), &[b'x'; CNAME_LENGTH]);
        let received = rtcp::read(compound.octets(), ours).unwrap();
        prop_assert_eq!(received.sender, sends.then_some((ssrc, (ntp >> 16) as u32)));
        prop_assert_eq!(received.block, about_ours.then_some(block));
        prop_assert_eq!(compound.octets().len() % 4, 0);
    }

    #[test]
    fn transcoding_twice_stays_within_one_step(octet: u8) {
        let there = MU_TO_A[usize::from(octet)];
        let back = A_TO_MU[usize::from(there)];
        let (before, after) = (i32::from(mu_to_linear(octet)), i32::from(mu_to_linear(back)));
        prop_assert!((before - after).abs() <= (before.abs() / 16).max(8), "{} {}", before, after);
        let linear = (i32::from(a_to_linear(there)) - before).abs();
        prop_assert!(linear <= (before.abs() / 32).max(8));
    }

    /// Loss and duplication with reordering inside the window: the receiver knows the truth.
    #[test]
    fn reception_counts_what_was_lost(
        first: u16,
        fates in proptest::collection::vec((0..10_u8, 0..20_usize), 2..400),
    ) {
        let mut order: Vec<(usize, u16)> = Vec::new();
        let mut lost = 0_u64;
        let last = fates.len() - 1;
        for (index, &(fate, delay)) in fates.iter().enumerate() {
            let sequence = first.wrapping_add(index as u16);
            // The first and the last arrive, in place: they mark where counting begins and ends.
            if index == 0 || index == last {
                order.push((index * 4, sequence));
            } else if fate == 0 {
                lost += 1;
            } else {
                let due = (index * 4 + 1 + delay * 4).clamp(4, last * 4 + 1);
                order.push((due, sequence));
                if fate == 1 {
                    order.push((due + 1, sequence));
                }
            }
        }
        order.sort_by_key(|&(due, _)| due);
        let mut reception = Reception::default();
        let mut seen = HashSet::new();
        for (_, sequence) in order {
            let useful = !matches!(reception.packet(1, sequence, 0), Arrival::Duplicate | Arrival::Useless);
            prop_assert_eq!(useful, seen.insert(sequence), "{}", sequence);
        }
        prop_assert_eq!(reception.lost(), lost);
        prop_assert_eq!(reception.epoch, 1);
        let block = reception.report().unwrap();
        prop_assert_eq!(u64::try_from(block.lost).unwrap(), lost);
        prop_assert_eq!(u64::from(block.fraction), lost * 256 / fates.len() as u64);
        prop_assert_eq!(block.highest as u16, first.wrapping_add(last as u16));
    }

    #[test]
    fn reception_survives_anything(packets in proptest::collection::vec((0..3_u32, any::<u16>(), any::<u32>()), 0..300)) {
        let mut reception = Reception::default();
        for (now, (ssrc, sequence, timestamp)) in packets.iter().enumerate() {
            reception.packet(*ssrc, *sequence, now as u64 * 20_000);
            reception.timing(*timestamp, now as u64 * 20_000, 8);
        }
        prop_assert!(reception.lost() < 3_000 * 300);
    }

    /// RFC 3550 section 6.4.1 in real numbers; A.8 rounds, by less than one tick here.
    #[test]
    fn jitter_is_that_of_the_rfc(delays in proptest::collection::vec(0..400_u64, 2..200)) {
        let mut reception = Reception::default();
        let (mut jitter, mut previous) = (0.0_f64, None);
        for (index, &delay) in delays.iter().enumerate() {
            let timestamp = index as u32 * 160;
            let arrival = u64::from(timestamp) + delay;
            reception.timing(timestamp, arrival * 125, 8);
            if let Some(before) = previous.replace(delay) {
                jitter += (delay.abs_diff(before) as f64 - jitter) / 16.0;
            }
        }
        prop_assert!((f64::from(reception.jitter_16()) / 16.0 - jitter).abs() < 1.0);
    }

    /// Sources come and go, lose, swap and leave out packets: the stream out never repeats or reverses.
    #[test]
    fn the_outgoing_stream_has_no_seam(
        start: u16,
        timestamp: u32,
        steps in proptest::collection::vec((0..3_u64, 0..12_u8, 0..60_u64), 1..400),
    ) {
        let mut out = Outgoing::new(1, start, timestamp);
        let mut extended = [65_000_i64, 5, 40_000];
        let mut sent = HashSet::new();
        let (mut now, mut newest, mut end, mut before) = (0, None, None::<u32>, None);
        for (id, fate, wait) in steps {
            now += wait * 1_000;
            let source = Source { id, epoch: 1 };
            let position = &mut extended[id as usize];
            // A packet of the past: late, perhaps a second time. All others are the next, with or without loss.
            let late = fate == 3;
            if !late {
                *position += if fate == 0 { 2 } else { 1 };
            }
            if fate == 1 {
                out.leave_out(source, *position);
                continue;
            }
            if fate == 2 {
                out.interrupt();
                before = None;
            }
            let extended = if late { *position - 3 } else { *position };
            let packet = Packet {
                extended, timestamp: (extended as u32).wrapping_mul(160), ticks: 160, audio: true, ends: false,
                newest: !late, marker: false,
            };
            let Some(place) = out.place(source, packet, now) else {
                prop_assert!(late, "only what is late has no place");
                continue;
            };
            if late && before == Some(id) {
                continue; // its number may be one that was sent: the receiver's window drops duplicates before us
            }
            prop_assert!(sent.insert(place.sequence), "{} was sent twice", place.sequence);
            if let Some(newest) = newest {
                let step = place.sequence.wrapping_sub(newest) as i16;
                prop_assert!(step == 1 || (step > 1 && before == Some(id)), "step {} after a switch", step);
            }
            if let Some(end) = end.filter(|_| before != Some(id)) {
                prop_assert!(place.timestamp.wrapping_sub(end) as i32 >= 0, "inside what was sent");
                prop_assert!(place.marker);
            }
            newest = Some(place.sequence);
            end = Some(place.timestamp.wrapping_add(160));
            before = Some(id);
        }
    }

    /// Any loss that leaves one packet, any repetition: each key press is one digit.
    #[test]
    fn each_digit_is_told_once(
        digits in proptest::collection::vec((0..16_u8, proptest::collection::vec(0..3_u8, 8)), 1..20),
    ) {
        let mut detector = Detector::default();
        let mut told = Vec::new();
        let mut pressed = Vec::new();
        for (index, (code, fates)) in digits.iter().enumerate() {
            let timestamp = 8_000 * index as u32;
            let mut heard = false;
            for (packet, &copies) in fates.iter().enumerate() {
                let event = Event { code: *code, end: packet >= 5, duration: 160 * (packet as u16 + 1) };
                for _ in 0..copies {
                    heard = true;
                    told.extend(detector.event(event, timestamp).into_iter().flatten());
                }
            }
            if heard {
                pressed.push(b"0123456789*#ABCD"[usize::from(*code)]);
            }
        }
        told.extend(detector.audio(8_000 * digits.len() as u32));
        prop_assert_eq!(told.iter().map(|digit| digit.character).collect::<Vec<_>>(), pressed);
    }

    #[test]
    fn any_file_is_read_or_refused(
        tag in 0..9_u16, channels in 0..4_u16, rate: u32, bits in prop::sample::select(vec![0, 8, 16, 24, 32, 64_u16]),
        length: u32, cut in 0..300_usize, data in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut file = b"RIFF....WAVEfmt \x10\0\0\0".to_vec();
        file.extend_from_slice(&tag.to_le_bytes());
        file.extend_from_slice(&channels.to_le_bytes());
        file.extend_from_slice(&rate.to_le_bytes());
        file.extend_from_slice(&[0; 6]);
        file.extend_from_slice(&bits.to_le_bytes());
        file.extend_from_slice(b"data");
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&data);
        file.truncate(file.len() - cut.min(file.len()));
        let _ = wav::read(&data, 1);
        if let Ok(sound) = wav::read(&file, 1) {
            prop_assert!(!sound.samples.is_empty() && sound.samples.len() <= data.len());
            prop_assert!(sound.samples.iter().all(|sample| (-1.0..=1.0).contains(sample)));
        }
    }

    #[test]
    fn any_prompt_goes_round_for_ever(samples in proptest::collection::vec(any::<i16>(), 1..900)) {
        let prompt = Prompt::from_samples(&samples);
        let mut position = 0;
        for _ in 0..20 {
            position = prompt.fill(Codec::Pcma, position, true, &mut [0; FRAME]);
            prop_assert!(position <= prompt.samples());
        }
    }
}
