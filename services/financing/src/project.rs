//! A project that looks for money: what it must say.

use kernel::{ErrorCode, Money, Refusal, Result, text};
use wire::v1::{self, FinancingKind};

use crate::{
    entry::{division, known, present},
    matching::Ask,
};

/// A financing project's content, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// For everybody.
    pub title: String,
    /// For everybody.
    pub teaser: String,
    /// Confidential (F5).
    pub details: String,
    /// How money would come in.
    pub kind: FinancingKind,
    /// What is compared with investors' wishes.
    pub ask: Ask,
}

impl Content {
    /// Checks what a project's author entered.
    pub fn check(input: &v1::CreateFinancingProjectInput) -> Result<Content> {
        let amount = present(input.amount, "amount")?;
        if amount <= Money::ZERO {
            return Err(Refusal::new(ErrorCode::AmountOutOfRange).at_field("amount").accepting("> 0.00").into());
        }
        Ok(Content {
            title: text(&input.title, "title", 2, 200)?,
            teaser: text(&input.teaser, "teaser", 1, 2_000)?,
            details: text(&input.details, "details", 1, 20_000)?,
            kind: known(input.kind, "kind")?,
            ask: Ask {
                field: known(input.field, "field")?,
                stage: known(input.stage, "stage")?,
                amount,
                region: division(&input.region, &[6], "region")?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_entry_is_named() {
        let good = v1::CreateFinancingProjectInput {
            title: "钠电池中试线".into(),
            teaser: "年产百兆瓦时".into(),
            details: "商业计划书".into(),
            amount: Some(Money(1)),
            region: "510100".into(),
            ..Default::default()
        };
        assert!(Content::check(&good).is_ok());
        let field = |input: v1::CreateFinancingProjectInput| match Content::check(&input) {
            Err(kernel::Error::Refused(refusal)) => refusal.field[1].clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(field(v1::CreateFinancingProjectInput { title: "一".into(), ..good.clone() }), "title");
        assert_eq!(field(v1::CreateFinancingProjectInput { teaser: " ".into(), ..good.clone() }), "teaser");
        assert_eq!(field(v1::CreateFinancingProjectInput { details: "字".repeat(20_001), ..good.clone() }), "details");
        assert_eq!(field(v1::CreateFinancingProjectInput { kind: 9, ..good.clone() }), "kind");
        assert_eq!(field(v1::CreateFinancingProjectInput { amount: Some(Money(0)), ..good.clone() }), "amount");
        assert_eq!(field(v1::CreateFinancingProjectInput { amount: None, ..good.clone() }), "amount");
        assert_eq!(field(v1::CreateFinancingProjectInput { field: -1, ..good.clone() }), "field");
        assert_eq!(field(v1::CreateFinancingProjectInput { stage: 3, ..good.clone() }), "stage");
        assert_eq!(field(v1::CreateFinancingProjectInput { region: "5101".into(), ..good }), "region");
    }
}
