//! SHA-256, as FIPS 180-4 defines it: the standard library has no hash function of its own that other
//! programs compute too.
//!
//! A message is cut into blocks of 64 bytes. Each block is stretched to 64 words, and each word changes the
//! eight words of the state. What the state is after the last block is the sum. The last block ends with the
//! length of the message in bits, after a byte 0x80 and as many zeros as it takes.
#![allow(clippy::indexing_slicing, reason = "every index is below the length of its array")]

use std::fmt;

const BLOCK: usize = 64;

/// The SHA-256 of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum([u8; 32]);

impl Sum {
    /// Reads a sum as it travels: 64 small letters and digits.
    pub fn parse(text: &[u8]) -> Option<Sum> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut sum = [0; 32];
        let (pairs, []) = text.as_chunks::<2>() else { return None };
        if pairs.len() != sum.len() {
            return None;
        }
        for (byte, [high, low]) in sum.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Sum(sum))
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Computes a sum from bytes that come piece by piece.
#[derive(Clone)]
pub struct Sha256 {
    state: [u32; 8],
    /// The beginning of the next block.
    rest: [u8; BLOCK],
    /// How many bytes have come.
    length: u64,
}

impl Default for Sha256 {
    fn default() -> Sha256 {
        Sha256 { state: INITIAL, rest: [0; BLOCK], length: 0 }
    }
}

impl Sha256 {
    /// Adds the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        let held = self.held();
        self.length = self.length.wrapping_add(bytes.len() as u64);
        if held > 0 {
            let (head, tail) = bytes.split_at(bytes.len().min(BLOCK - held));
            self.rest[held..held + head.len()].copy_from_slice(head);
            if held + head.len() < BLOCK {
                return;
            }
            let block = self.rest;
            compress(&mut self.state, &block);
            bytes = tail;
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        for block in blocks {
            compress(&mut self.state, block);
        }
        self.rest[..rest.len()].copy_from_slice(rest);
    }

    /// The sum of all bytes so far.
    pub fn sum(&self) -> Sum {
        let mut last = self.clone();
        let bits = self.length.wrapping_mul(8).to_be_bytes();
        last.update(&[0x80]);
        let zeros = (2 * BLOCK - last.held() - bits.len()) % BLOCK;
        last.update(&[0; BLOCK][..zeros]);
        last.update(&bits);
        let mut sum = [0; 32];
        for (bytes, word) in sum.as_chunks_mut::<4>().0.iter_mut().zip(last.state) {
            *bytes = word.to_be_bytes();
        }
        Sum(sum)
    }

    fn held(&self) -> usize {
        usize::try_from(self.length % BLOCK as u64).unwrap_or(0)
    }
}

fn compress(state: &mut [u32; 8], block: &[u8; BLOCK]) {
    let mut words = [0; 64];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for i in 16..64 {
        let (a, b) = (words[i - 15], words[i - 2]);
        let near = a.rotate_right(7) ^ a.rotate_right(18) ^ a >> 3;
        let far = b.rotate_right(17) ^ b.rotate_right(19) ^ b >> 10;
        words[i] = words[i - 16].wrapping_add(near).wrapping_add(words[i - 7]).wrapping_add(far);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for i in 0..64 {
        let turned = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let chosen = g ^ e & (f ^ g);
        let first = h
            .wrapping_add(turned)
            .wrapping_add(chosen)
            .wrapping_add(ROUNDS[i])
            .wrapping_add(words[i]);
        let turned = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let most = a & b ^ c & (a ^ b);
        let second = turned.wrapping_add(most);
        (h, g, f, e) = (g, f, e, d.wrapping_add(first));
        (d, c, b, a) = (c, b, a, first.wrapping_add(second));
    }
    for (word, more) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = word.wrapping_add(more);
    }
}

/// The first 32 bits of the fractions of the square roots of the first 8 primes.
#[rustfmt::skip]
const INITIAL: [u32; 8] = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a,
    0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
];

/// The first 32 bits of the fractions of the cube roots of the first 64 primes.
#[rustfmt::skip]
const ROUNDS: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> String {
        let mut sha = Sha256::default();
        sha.update(bytes);
        sha.sum().to_string()
    }

    #[test]
    fn the_published_sums_come_out() {
        // From NIST's examples for FIPS 180-4, and the empty message and the million of its test vectors.
        let two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        let four_blocks = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn\
                           hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
        let million = "a".repeat(1_000_000);
        for (text, expected) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (two_blocks, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
            (four_blocks, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"),
            (&million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        ] {
            assert_eq!(sum(text.as_bytes()), expected);
            assert_eq!(Sum::parse(expected.as_bytes()).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_are_cut() {
        let bytes: Vec<u8> = (0..=255).cycle().take(300).collect();
        for length in 0..bytes.len() {
            let (bytes, _) = bytes.split_at(length);
            for cut in [1, 7, 55, 56, 63, 64, 65] {
                let mut sha = Sha256::default();
                bytes.chunks(cut).for_each(|piece| sha.update(piece));
                assert_eq!(sha.sum().to_string(), sum(bytes), "{length} in pieces of {cut}");
            }
        }
    }

    #[test]
    fn a_sum_is_64_small_letters_and_digits() {
        let good = "0123456789abcdef".repeat(4);
        assert!(Sum::parse(good.as_bytes()).is_some());
        for bad in [
            "",
            &good.replacen('0', "", 1),
            &good.to_uppercase(),
            &good.replace('0', "g"),
            &(good.clone() + "00"),
        ] {
            assert_eq!(Sum::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
