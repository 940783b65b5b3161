//! The national holidays of Japan, computed.
//!
//! Why computed: the Cabinet Office publishes its list one year ahead only, and a rota is checked
//! for longer than that. The two days that follow the sun are given by the usual approximation of
//! the equinoxes, which agrees with every list published so far; the list stays the authority.

use chrono::{Datelike as _, NaiveDate, Weekday};

/// The name of the national holiday that a date is, if it is one; `振替休日` and `国民の休日` (days
/// off that follow from others) included, which the published list both calls `休日`.
///
/// Holds for 2007 to 2150 under the law as of 2020; other years have none here.
/// Source: Act on National Holidays (昭和23年法律第178号), articles 2 and 3; for 2019 to 2021 the acts
/// on the accession (平成30年法律第99号) and on the Olympic games.
#[must_use]
pub fn japan(date: NaiveDate) -> Option<&'static str> {
    if let Some(name) = named(date) {
        return Some(name);
    }
    // The first day that is no holiday after one that fell on a Sunday.
    let mut before = date.pred_opt()?;
    while named(before).is_some() {
        if before.weekday() == Weekday::Sun {
            return Some("振替休日");
        }
        before = before.pred_opt()?;
    }
    let between = named(date.pred_opt()?).is_some() && named(date.succ_opt()?).is_some();
    between.then_some("国民の休日")
}

/// The days that the law names.
fn named(date: NaiveDate) -> Option<&'static str> {
    let (year, month, day) = (date.year(), date.month(), date.day());
    if !(2007..=2150).contains(&year) {
        return None;
    }
    let monday = |nth: u32| date.weekday() == Weekday::Mon && day.div_ceil(7) == nth;
    Some(match (month, day) {
        (1, 1) => "元日",
        (1, _) if monday(2) => "成人の日",
        (2, 11) => "建国記念の日",
        (2, 23) if year >= 2020 => "天皇誕生日",
        (3, d) if d == spring(year) => "春分の日",
        (4, 29) => "昭和の日",
        (5, 1) if year == 2019 => "即位の日",
        (5, 3) => "憲法記念日",
        (5, 4) => "みどりの日",
        (5, 5) => "こどもの日",
        (7, d) if sea(year).map_or_else(|| monday(3), |moved| d == moved) => "海の日",
        (7, d) if sports(year) == Some((7, d)) => "スポーツの日",
        (8, d) if mountain(year) == Some(d) => "山の日",
        (9, _) if monday(3) => "敬老の日",
        (9, d) if d == autumn(year) => "秋分の日",
        (10, 22) if year == 2019 => "即位礼正殿の儀の行われる日",
        (10, _) if sports(year).is_none() && monday(2) => {
            if year < 2020 {
                "体育の日"
            } else {
                "スポーツの日"
            }
        }
        (11, 3) => "文化の日",
        (11, 23) => "勤労感謝の日",
        (12, 23) if year <= 2018 => "天皇誕生日",
        _ => return None,
    })
}

/// Where the games moved the day to, in July.
fn sea(year: i32) -> Option<u32> {
    match year {
        2020 => Some(23),
        2021 => Some(22),
        _ => None,
    }
}

fn sports(year: i32) -> Option<(u32, u32)> {
    match year {
        2020 => Some((7, 24)),
        2021 => Some((7, 23)),
        _ => None,
    }
}

fn mountain(year: i32) -> Option<u32> {
    match year {
        ..2016 => None,
        2020 => Some(10),
        2021 => Some(8),
        _ => Some(11),
    }
}

/// The day in March on which spring begins in Japan.
fn spring(year: i32) -> u32 {
    equinox(year, [208_431, 218_510])
}

/// The day in September on which autumn begins in Japan.
fn autumn(year: i32) -> u32 {
    equinox(year, [232_488, 242_488])
}

/// A day that drifts by 0.242194 of a day each year and is set back by each fourth: in ten
/// thousandths of a day, from 1980, and with another beginning from 2100, which is no leap year.
fn equinox(year: i32, begin: [i64; 2]) -> u32 {
    let years = i64::from(year - 1980);
    let begin = if year < 2100 { begin[0] } else { begin[1] };
    let day = (begin * 100 + years * 242_194) / 1_000_000 - years / 4;
    u32::try_from(day).expect("a day of the month, within the years that are asked for")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the Cabinet Office published them, with the days off told apart.
    const PUBLISHED: &str = "
        2019 1/1元日 1/14成人の日 2/11建国記念の日 3/21春分の日 4/29昭和の日 4/30国民の休日 5/1即位の日 5/2国民の休日
             5/3憲法記念日 5/4みどりの日 5/5こどもの日 5/6振替休日 7/15海の日 8/11山の日 8/12振替休日 9/16敬老の日
             9/23秋分の日 10/14体育の日 10/22即位礼正殿の儀の行われる日 11/3文化の日 11/4振替休日 11/23勤労感謝の日
        2020 1/1元日 1/13成人の日 2/11建国記念の日 2/23天皇誕生日 2/24振替休日 3/20春分の日 4/29昭和の日 5/3憲法記念日
             5/4みどりの日 5/5こどもの日 5/6振替休日 7/23海の日 7/24スポーツの日 8/10山の日 9/21敬老の日 9/22秋分の日
             11/3文化の日 11/23勤労感謝の日
        2021 1/1元日 1/11成人の日 2/11建国記念の日 2/23天皇誕生日 3/20春分の日 4/29昭和の日 5/3憲法記念日 5/4みどりの日
             5/5こどもの日 7/22海の日 7/23スポーツの日 8/8山の日 8/9振替休日 9/20敬老の日 9/23秋分の日 11/3文化の日
             11/23勤労感謝の日
        2022 1/1元日 1/10成人の日 2/11建国記念の日 2/23天皇誕生日 3/21春分の日 4/29昭和の日 5/3憲法記念日 5/4みどりの日
             5/5こどもの日 7/18海の日 8/11山の日 9/19敬老の日 9/23秋分の日 10/10スポーツの日 11/3文化の日 11/23勤労感謝の日
        2023 1/1元日 1/2振替休日 1/9成人の日 2/11建国記念の日 2/23天皇誕生日 3/21春分の日 4/29昭和の日 5/3憲法記念日
             5/4みどりの日 5/5こどもの日 7/17海の日 8/11山の日 9/18敬老の日 9/23秋分の日 10/9スポーツの日 11/3文化の日
             11/23勤労感謝の日
        2024 1/1元日 1/8成人の日 2/11建国記念の日 2/12振替休日 2/23天皇誕生日 3/20春分の日 4/29昭和の日 5/3憲法記念日
             5/4みどりの日 5/5こどもの日 5/6振替休日 7/15海の日 8/11山の日 8/12振替休日 9/16敬老の日 9/22秋分の日
             9/23振替休日 10/14スポーツの日 11/3文化の日 11/4振替休日 11/23勤労感謝の日
        2025 1/1元日 1/13成人の日 2/11建国記念の日 2/23天皇誕生日 2/24振替休日 3/20春分の日 4/29昭和の日 5/3憲法記念日
             5/4みどりの日 5/5こどもの日 5/6振替休日 7/21海の日 8/11山の日 9/15敬老の日 9/23秋分の日 10/13スポーツの日
             11/3文化の日 11/23勤労感謝の日 11/24振替休日
        2026 1/1元日 1/12成人の日 2/11建国記念の日 2/23天皇誕生日 3/20春分の日 4/29昭和の日 5/3憲法記念日 5/4みどりの日
             5/5こどもの日 5/6振替休日 7/20海の日 8/11山の日 9/21敬老の日 9/22国民の休日 9/23秋分の日 10/12スポーツの日
             11/3文化の日 11/23勤労感謝の日
        2027 1/1元日 1/11成人の日 2/11建国記念の日 2/23天皇誕生日 3/21春分の日 3/22振替休日 4/29昭和の日 5/3憲法記念日
             5/4みどりの日 5/5こどもの日 7/19海の日 8/11山の日 9/20敬老の日 9/23秋分の日 10/11スポーツの日 11/3文化の日
             11/23勤労感謝の日";

    #[test]
    fn whole_years_are_as_they_were_published() {
        let mut expected: Vec<(NaiveDate, String)> = Vec::new();
        let mut year = 0;
        for word in PUBLISHED.split_whitespace() {
            let Some((month, rest)) = word.split_once('/') else {
                year = word.parse().expect("a year");
                continue;
            };
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (day, name) = rest.split_at(digits);
            let (month, day) = (month.parse().expect("a month"), day.parse().expect("a day"));
            let date = NaiveDate::from_ymd_opt(year, month, day).expect("a date");
            expected.push((date, name.to_owned()));
        }
        let begin = NaiveDate::from_ymd_opt(2019, 1, 1).expect("a date");
        let computed: Vec<(NaiveDate, String)> = begin
            .iter_days()
            .take_while(|date| date.year() < 2028)
            .filter_map(|date| Some((date, japan(date)?.to_owned())))
            .collect();
        assert_eq!(computed, expected);
    }

    #[test]
    fn days_that_the_sun_and_the_law_move() {
        for (date, expected) in [
            ("2006-01-01", None),
            ("2012-03-20", Some("春分の日")),
            ("2012-09-22", Some("秋分の日")),
            ("2015-08-11", None),
            ("2015-09-22", Some("国民の休日")),
            ("2016-08-11", Some("山の日")),
            ("2018-12-23", Some("天皇誕生日")),
            ("2018-12-24", Some("振替休日")),
            ("2019-12-23", None),
            ("2032-09-21", Some("国民の休日")),
            ("2092-03-19", Some("春分の日")),
            ("2100-03-20", Some("春分の日")),
            ("2100-09-23", Some("秋分の日")),
            ("2151-01-01", None),
        ] {
            assert_eq!(japan(date.parse().expect("a date")), expected, "{date}");
        }
    }
}
