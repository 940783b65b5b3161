//! What scaling owns.

use super::*;

/// At the weekly run it is night, and scaling has given most of it away.
#[test]
fn what_scaling_owns_is_judged_by_its_limits_and_not_by_what_it_has_at_the_moment() {
    use Capacity::{Autoscale, Manual};
    let rules = |least, most| ThroughputRules {
        least,
        most,
        ..ThroughputRules::default()
    };
    for (name, have, minimum, day, rules, expected, urgency) in [
        (
            "low by night",
            Manual(400),
            400,
            900.0,
            rules(400, 20_000),
            "keep 400 RU/s",
            Urgency::None,
        ),
        (
            "high at the moment",
            Manual(9000),
            400,
            900.0,
            rules(400, 20_000),
            "keep 9000 RU/s",
            Urgency::None,
        ),
        (
            "it goes far enough",
            Manual(400),
            400,
            1000.0,
            rules(400, 1000),
            "keep 400 RU/s",
            Urgency::None,
        ),
        (
            "it may not go far enough",
            Manual(400),
            400,
            1001.0,
            rules(400, 1000),
            "from 400 to 1000 RU/s -> from 400 to 1300 RU/s",
            Urgency::Now,
        ),
        (
            "an odd limit",
            Manual(400),
            400,
            1020.0,
            rules(400, 1050),
            "from 400 to 1050 RU/s -> from 400 to 1300 RU/s",
            Urgency::Now,
        ),
        (
            "the least is more than ever is needed",
            Manual(4000),
            400,
            1000.0,
            rules(4000, 20_000),
            "from 4000 to 20000 RU/s -> from 1200 to 20000 RU/s",
            Urgency::None,
        ),
        (
            "a little more is kept",
            Manual(1400),
            400,
            1000.0,
            rules(1400, 20_000),
            "keep 1400 RU/s",
            Urgency::None,
        ),
        (
            "Azure takes no less",
            Manual(4000),
            4000,
            1000.0,
            rules(4000, 20_000),
            "keep 4000 RU/s",
            Urgency::None,
        ),
        (
            "Azure takes a little less",
            Manual(4000),
            3000,
            1000.0,
            rules(4000, 20_000),
            "from 4000 to 20000 RU/s -> from 3000 to 20000 RU/s",
            Urgency::None,
        ),
        (
            "Azure takes no less than above the most",
            Manual(4000),
            4000,
            3500.0,
            rules(400, 3000),
            "keep 4000 RU/s",
            Urgency::None,
        ),
        (
            "autoscale",
            Autoscale(1000),
            1000,
            4500.0,
            rules(400, 4000),
            "from 400 to 4000 RU/s -> from 400 to 6000 RU/s",
            Urgency::Now,
        ),
    ] {
        let have = Throughput {
            minimum,
            ..throughput(have)
        };
        let units = kept(Measure::Units, &week(day, day / 4.0), 0.0, 1.0);
        let found = judge_scaled(&have, Some(&units), &rules, Some(Mode::Act));
        assert_eq!(short(&found), expected, "{name}");
        assert_eq!(found.urgency, urgency, "{name}");
        assert_eq!((found.monthly, &found.other_mode), (None, &None), "{name}");
        let told = found.sentence();
        assert!(
            told.contains("scaling follows the load itself"),
            "{name}: {told}"
        );
        assert_eq!(
            told.contains("over what scaling is allowed within a day"),
            urgency == Urgency::Now,
            "{name}: {told}"
        );
    }
    let units = kept(Measure::Units, &week(900.0, 100.0), 0.0, 1.0);
    let have = throughput(Capacity::Manual(400));
    let usual = ThroughputRules::default();
    let proposed = judge_scaled(&have, Some(&units), &usual, Some(Mode::Propose));
    assert!(proposed.notes[0].contains("waits for somebody who approves it"));
    // Nobody follows the load where it is only recorded what scaling would do.
    let observed = judge_scaled(&have, Some(&units), &usual, Some(Mode::Observe));
    assert_eq!(short(&observed), "400 RU/s -> 1100 RU/s");
    assert!(observed.monthly.is_some());
}
