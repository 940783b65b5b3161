//! Functions of datetimes and timespans.

mod format;
mod kernels;
mod make;
mod parts;
#[cfg(test)]
mod tests;
mod zones;

use super::{Function, Naming, columns, row};

pub(crate) fn table() -> Vec<Function> {
    use Naming::{First, None};
    let shifted = "datetime, long? -> datetime";
    let number = "datetime -> int";
    let mut all = vec![
        columns("startofday", shifted, First, kernels::start_of_day),
        columns("startofweek", shifted, None, kernels::start_of_week),
        columns("startofmonth", shifted, None, kernels::start_of_month),
        columns("startofyear", shifted, None, kernels::start_of_year),
        columns("endofday", shifted, None, kernels::end_of_day),
        columns("endofweek", shifted, None, kernels::end_of_week),
        columns("endofmonth", shifted, None, kernels::end_of_month),
        columns("endofyear", shifted, None, kernels::end_of_year),
        columns("hourofday", number, None, kernels::hour_of_day),
        columns("dayofmonth", number, None, kernels::day_of_month),
        columns("dayofyear", number, None, kernels::day_of_year),
        columns("getmonth", number, None, kernels::month),
        columns("monthofyear", number, None, kernels::month),
        columns("getyear", number, None, kernels::year),
        columns("week_of_year", number, None, kernels::week_of_year),
        columns(
            "dayofweek",
            "datetime -> timespan",
            None,
            kernels::day_of_week,
        ),
        columns(
            "datetime_part",
            "string!, datetime -> int",
            None,
            kernels::part,
        )
        .checked(parts::check_readable),
        columns("datepart", "string!, datetime -> int", None, kernels::part)
            .checked(parts::check_readable),
        row(
            "datetime_add",
            "string!, long, datetime -> datetime",
            None,
            parts::add,
        )
        .checked(parts::check_period),
        row(
            "datetime_diff",
            "string!, datetime, datetime -> long",
            None,
            parts::diff,
        )
        .checked(parts::check_period),
        row(
            "format_datetime",
            "datetime, string! -> string",
            First,
            format::datetime,
        )
        .checked(format::check_datetime),
        row(
            "format_timespan",
            "timespan, string! -> string",
            First,
            format::timespan,
        )
        .checked(format::check_timespan),
    ];
    all.extend(make::table());
    all.extend(zones::table());
    all
}
