use rand::{Rng, RngExt};

/// Draws one of several things, each as often as its weight says.
#[derive(Clone, Debug)]
pub struct Mix {
    /// The weights summed up.
    sums: Vec<f64>,
}

impl Mix {
    /// `weights` are not negative, and one of them at least is over 0.
    pub fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let add = |weight: f64| {
            sum += weight;
            sum
        };
        Mix { sums: weights.into_iter().map(add).collect() }
    }

    /// The place of the one that is drawn.
    pub fn draw(&self, random: &mut impl Rng) -> usize {
        let Some(all) = self.sums.last() else {
            return 0;
        };
        let drawn = random.random::<f64>() * all;
        // Only rounding can lead behind the last one.
        self.sums.partition_point(|sum| *sum <= drawn).min(self.sums.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    #[test]
    fn each_is_drawn_as_often_as_its_weight_says() {
        let mix = Mix::new([1.0, 0.0, 5.0, 2.0]);
        let mut random = SmallRng::seed_from_u64(1);
        let mut counts = [0_u32; 4];
        for _ in 0..80_000 {
            counts[mix.draw(&mut random)] += 1;
        }
        assert_eq!(counts[1], 0);
        for (count, expected) in [(counts[0], 10_000), (counts[2], 50_000), (counts[3], 20_000)] {
            assert!(count.abs_diff(expected) < 600, "{counts:?}");
        }
    }
}
