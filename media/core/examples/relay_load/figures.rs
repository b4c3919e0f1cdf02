//! What a run counts.

/// Latencies, by the microsecond.
pub struct Histogram {
    /// The last is for all that is longer.
    counts: Vec<u32>,
    total: u64,
}

impl Histogram {
    fn new() -> Self {
        Histogram { counts: vec![0; 500_001], total: 0 }
    }

    fn add(&mut self, micros: usize) {
        let last = self.counts.len() - 1;
        self.counts[micros.min(last)] += 1;
        self.total += 1;
    }

    /// The latency that this share of all do not exceed, in microseconds.
    pub fn percentile(&self, share: f64) -> usize {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        self.counts
            .iter()
            .position(|&count| {
                seen += u64::from(count);
                seen >= wanted.max(1)
            })
            .unwrap_or(0)
    }
}

/// Counts of the measured window.
pub struct Figures {
    pub sent: u64,
    /// How many of those were late, as the generator had lost its core.
    pub sent_late: u64,
    pub received: u64,
    pub latencies: Histogram,
    /// Of the packets that were not sent late.
    pub punctual: Histogram,
}

impl Figures {
    pub fn new() -> Self {
        let (latencies, punctual) = (Histogram::new(), Histogram::new());
        Figures { sent: 0, sent_late: 0, received: 0, latencies, punctual }
    }

    /// A packet was sent.
    pub fn note_sent(&mut self, late: bool) {
        self.sent += 1;
        self.sent_late += u64::from(late);
    }

    /// A packet came back, after so many microseconds.
    pub fn note_received(&mut self, micros: usize, late: bool) {
        self.received += 1;
        self.latencies.add(micros);
        if !late {
            self.punctual.add(micros);
        }
    }
}
