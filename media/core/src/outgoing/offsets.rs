//! From the sequence numbers of a source to ours.

/// A packet left out moves those after it; latecomers from before keep theirs.
#[derive(Debug)]
pub struct Offsets {
    current: i64,
    /// Packets before this one use `earlier`.
    since: i64,
    earlier: i64,
    /// Packets before this one have no place any more.
    floor: i64,
}

impl Offsets {
    /// A source whose packet `first` becomes our `next`.
    pub fn new(first: i64, next: i64) -> Self {
        let current = next - first;
        Offsets { current, since: first, earlier: current, floor: first }
    }

    /// Our number for a packet, None when it has no place any more.
    pub fn of(&self, extended: i64) -> Option<i64> {
        match extended {
            _ if extended < self.floor => None,
            _ if extended < self.since => Some(extended + self.earlier),
            _ => Some(extended + self.current),
        }
    }

    /// Closes the gap that a packet leaves; nothing when others were sent behind it, our `next` being beyond.
    pub fn leave_out(&mut self, extended: i64, next: i64) {
        if extended + self.current < next {
            return;
        }
        self.floor = self.since;
        self.since = extended + 1;
        self.earlier = self.current;
        self.current -= 1;
    }
}
