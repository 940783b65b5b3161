use super::*;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn chart() -> Chart {
    let start = utc("2026-10-01T00:00:00Z");
    let history = (0..24 * 20).map(|hour| {
        let value = if hour % 24 < 8 { 100.0 } else { 900.0 };
        let gap = (400..410).contains(&hour);
        (start + Duration::hours(hour), (!gap).then_some(value))
    });
    let begin = start + Duration::days(20);
    let coming = (0..168).map(|hour| Hour {
        at: begin + Duration::hours(hour),
        forecast: if hour % 24 < 8 { 120.0 } else { 950.0 },
        lower: 50.0,
        upper: 1100.0,
    });
    Chart {
        title: "応答 <script>&\"'".into(),
        unit: "RU/s".into(),
        zone: Tz::Asia__Tokyo,
        history: history.collect(),
        coming: coming.collect(),
        levels: vec![
            Level {
                mark: Mark::Current,
                value: 1000.0,
            },
            Level {
                mark: Mark::Recommended,
                value: 1400.0,
            },
        ],
    }
}

#[test]
fn numbers_are_short_and_axes_round() {
    for (value, expected) in [
        (0.0, "0"),
        (0.04, "0.04"),
        (0.0042, "0.0042"),
        (0.000_401, "0.0004"),
        (4.2e-9, "4.2e-9"),
        (-0.01, "-0.01"),
        (0.5, "0.5"),
        (12.0, "12"),
        (99.94, "99.9"),
        (999.4, "999"),
        (999.6, "1,000"),
        (1250.0, "1,250"),
        (9_999.4, "9,999"),
        (20_000.0, "20k"),
        (12_500.0, "12.5k"),
        (12_345_678.0, "12.3M"),
    ] {
        assert_eq!(number(value), expected, "{value}");
    }
    for (low, high, expected) in [
        (0.0, 1400.0, (0.0, 1500.0, 500.0)),
        (0.0, 0.0, (0.0, 2.5e-10, 2.5e-10)),
        (0.0, 100.0, (0.0, 100.0, 25.0)),
        (-30.0, 70.0, (-50.0, 75.0, 25.0)),
    ] {
        let axis = Axis::new(low, high);
        let (a, b, c) = expected;
        let near = |one: f64, other: f64| (one - other).abs() <= 1e-9;
        assert!(
            near(axis.low, a) && near(axis.high, b) && near(axis.step, c),
            "{axis:?}"
        );
        assert!(axis.ticks().len() <= 7, "{axis:?}");
    }
}

#[test]
fn each_tick_of_an_axis_is_told_as_what_it_is() {
    for (low, high, expected) in [
        (0.0, 1.0, vec!["0", "0.25", "0.50", "0.75", "1.00"]),
        (0.0, 0.8, vec!["0", "0.2", "0.4", "0.6", "0.8"]),
        (
            0.0,
            0.009,
            vec!["0", "0.0025", "0.0050", "0.0075", "0.0100"],
        ),
        (0.0, 9.0, vec!["0", "2.5", "5.0", "7.5", "10.0"]),
        (-0.2, 0.7, vec!["-0.25", "0", "0.25", "0.50", "0.75"]),
        (0.0, 100.0, vec!["0", "25", "50", "75", "100"]),
        (0.0, 1400.0, vec!["0", "500", "1,000", "1,500"]),
        (0.0, 40_000.0, vec!["0", "10k", "20k", "30k", "40k"]),
        (0.0, 4e-8, vec!["0", "1.0e-8", "2.0e-8", "3.0e-8", "4.0e-8"]),
    ] {
        let axis = Axis::new(low, high);
        let told: Vec<String> = axis
            .ticks()
            .into_iter()
            .map(|tick| axis.label(tick))
            .collect();
        assert_eq!(told, expected, "{low} to {high}");
    }
}

#[test]
fn a_picture_holds_all_it_says_in_words_and_no_text_becomes_anything_else() {
    let svg = inline(&chart(), "c1");
    for part in [
        "<title id=\"c1-t\">応答 &lt;script&gt;&amp;&quot;&#39;</title>",
        "Forecast until 2026-10-28 09:00 JST: at most 950 RU/s",
        "95 % interval up to 1,100 RU/s.",
        "10 hours of it not told",
        "There are 1,000 RU/s. Recommended are 1,400 RU/s.",
        "class=\"interval\"",
        ">there is 1,000</text>",
        ">recommended 1,400</text>",
        ">forecast</text>",
        // Days are those of the zone.
        ">10/8</text>",
    ] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    // A page's policy lets no style stand in an element.
    for never in ["<script", "style=", "<style", "url(", "href"] {
        assert!(!svg.contains(never), "{never}");
    }
    let measured = svg.split("class=\"measured\" d=\"").nth(1).expect("a line");
    let measured = measured.split('"').next().expect("a path");
    assert_eq!(
        measured.matches('M').count(),
        2,
        "a gap is no line: {measured}"
    );
    let file = file(&chart());
    assert!(
        file.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""),
        "{file}"
    );
    assert!(file.contains("prefers-color-scheme:dark"));
    let mut reader = quick_xml::Reader::from_str(&file);
    while !matches!(
        reader.read_event().expect("XML"),
        quick_xml::events::Event::Eof
    ) {}
}

#[test]
fn a_chart_of_nothing_says_so_and_one_value_is_a_dot() {
    let empty = Chart {
        history: Vec::new(),
        coming: Vec::new(),
        ..chart()
    };
    assert!(inline(&empty, "x").contains(">no data</text>"));
    assert!(terminal(&empty, 80).ends_with("no data\n"));
    let one = Chart {
        history: vec![(utc("2026-10-01T00:00:00Z"), Some(5.0))],
        coming: Vec::new(),
        levels: Vec::new(),
        ..chart()
    };
    assert!(inline(&one, "x").contains("h0.8"), "{}", inline(&one, "x"));
}

#[test]
fn a_terminal_shows_the_same_within_its_columns() {
    let text = terminal(&chart(), 80);
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for part in [
        "•",
        "o",
        "░",
        "forecast 10-21",
        "─ there is 1,000",
        "= recommended 1,400",
        "1,500│",
        "  500│",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let hostile = Chart {
        title: "\u{1b}[2Jx\r".into(),
        ..chart()
    };
    assert!(!terminal(&hostile, 80).contains('\u{1b}'));
}
