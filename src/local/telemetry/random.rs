//! Chance that is a function of what it is asked about: a small, fast generator, seeded anew for each
//! minute, so that a minute comes out the same wherever a range of time begins.

/// A splitmix64 generator. Not for secrets.
#[derive(Debug, Clone)]
pub(in crate::local) struct Random(u64);

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// One number of several; near inputs give outputs that have nothing to do with each other.
pub(in crate::local) fn hash(parts: &[u64]) -> u64 {
    parts.iter().fold(GOLDEN, |state, part| {
        mix(state.wrapping_add(mix(part.wrapping_add(GOLDEN))))
    })
}

/// One number of a text, whatever its capitals.
pub(in crate::local) fn hash_text(text: &str) -> u64 {
    let bytes = text.bytes().map(|b| u64::from(b.to_ascii_lowercase()));
    bytes.fold(GOLDEN, |state, byte| {
        mix(state.wrapping_add(mix(byte.wrapping_add(GOLDEN))))
    })
}

/// A number between 0 and 1 of several.
pub(in crate::local) fn share(parts: &[u64]) -> f64 {
    unit(hash(parts))
}

fn unit(bits: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let whole = (bits >> 11) as f64;
    whole / (1u64 << 53) as f64
}

impl Random {
    pub(in crate::local) fn of(parts: &[u64]) -> Self {
        Self(hash(parts))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// From 0 up to but not 1.
    pub(super) fn unit(&mut self) -> f64 {
        unit(self.next())
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// From 0 up to but not `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        let wide = u128::from(self.next()) * n as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Normal, with mean 0 and deviation 1.
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// A factor with median 1.
    pub(in crate::local) fn lognormal(&mut self, sigma: f64) -> f64 {
        (sigma * self.normal()).exp()
    }

    /// `expected` as a whole number, now the one below it and now the one above.
    pub(super) fn round(&mut self, expected: f64) -> usize {
        let whole = expected.max(0.0).floor();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small"
        )]
        let count = whole as usize;
        count + usize::from(self.unit() < expected - whole)
    }

    /// One of `items`.
    pub(super) fn of_these<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// The index whose share of the whole, given as running sums up to 1, is met.
    pub(super) fn by_share(&mut self, sums: &[f64]) -> usize {
        let at = self.unit();
        sums.partition_point(|sum| *sum <= at).min(sums.len() - 1)
    }
}

/// Running sums of weights, as shares of their total.
pub(super) fn running_shares(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sums: Vec<f64> = weights
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect();
    let total = sums.last().copied().unwrap_or(1.0);
    sums.iter_mut().for_each(|sum| *sum /= total);
    sums
}
