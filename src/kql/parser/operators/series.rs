//! `make-series`, in both its forms.

use super::super::Parser;
use crate::kql::error::Result;
use crate::kql::syntax::{MakeSeries, OperatorKind, SeriesColumn};

impl Parser<'_> {
    pub(super) fn make_series(&mut self) -> Result<OperatorKind> {
        let options = self.options(&["kind"])?;
        let aggregates = self.comma_list(|parser| {
            let column = parser.column()?;
            let default = if parser.eat_word("default") {
                parser.expect("=")?;
                Some(parser.expr()?)
            } else {
                None
            };
            Ok(SeriesColumn { column, default })
        })?;
        self.expect_word("on")?;
        let on = self.column()?;
        let (mut from, mut to) = (None, None);
        let in_range = self.at_word("in");
        let step;
        if in_range {
            self.advance();
            self.expect_word("range")?;
            self.expect("(")?;
            from = Some(self.expr()?);
            self.expect(",")?;
            to = Some(self.expr()?);
            self.expect(",")?;
            step = self.expr()?;
            self.expect(")")?;
        } else {
            if self.eat_word("from") {
                from = Some(self.expr()?);
            }
            if self.eat_word("to") {
                to = Some(self.expr()?);
            }
            self.expect_word("step")?;
            step = self.expr()?;
        }
        let by = if self.eat_word("by") {
            self.columns()?
        } else {
            Vec::new()
        };
        Ok(OperatorKind::MakeSeries(Box::new(MakeSeries {
            options,
            aggregates,
            on,
            from,
            to,
            step,
            in_range,
            by,
        })))
    }
}
