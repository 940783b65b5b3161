/// Samples of something, as Azure Monitor keeps them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::local) struct Measured {
    pub(in crate::local) total: f64,
    pub(in crate::local) count: f64,
    pub(in crate::local) least: f64,
    pub(in crate::local) most: f64,
}

impl Default for Measured {
    fn default() -> Self {
        Self::NOTHING
    }
}

impl Measured {
    pub(in crate::local) const NOTHING: Self = Self {
        total: 0.0,
        count: 0.0,
        least: f64::INFINITY,
        most: f64::NEG_INFINITY,
    };

    /// One sample.
    pub(in crate::local) fn one(value: f64) -> Self {
        Self::many(value, 1.0)
    }

    /// `count` samples of the same value.
    pub(in crate::local) fn many(value: f64, count: f64) -> Self {
        if count <= 0.0 {
            return Self::NOTHING;
        }
        Self {
            total: value * count,
            count,
            least: value,
            most: value,
        }
    }

    pub(in crate::local) fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.count += other.count;
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
    }

    pub(in crate::local) fn is_empty(&self) -> bool {
        self.count <= 0.0
    }

    pub(in crate::local) fn mean(&self) -> f64 {
        self.total / self.count
    }
}
