//! Numbers that are the same for the same seed, so that a check or a bad network can be repeated.

/// A small generator of numbers: same seed, same numbers.
#[derive(Clone, Debug, Default)]
pub(in crate::lab) struct Random(pub(in crate::lab) u64);

impl Random {
    /// The numbers of a check in a run with this seed.
    pub(in crate::lab) fn of(seed: u64, check: &str) -> Random {
        let mix = |sum: u64, byte: u8| sum.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte);
        Random(check.bytes().fold(seed, mix))
    }

    pub(in crate::lab) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
