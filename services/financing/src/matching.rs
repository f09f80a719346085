//! Which projects suit which investors, and why.

use kernel::Money;
use wire::v1::{MatchReason, Stage, TechnologyField};

use crate::investor::Preferences;

/// What a project says that investors' wishes are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The field of technology.
    pub field: TechnologyField,
    /// How mature it is.
    pub stage: Stage,
    /// How much money it looks for.
    pub amount: Money,
    /// Its division, 6 digits.
    pub region: String,
}

/// How well a project and an investor suit each other: 0-100, the sum of the reasons' weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    /// 0-100.
    pub points: i32,
    /// Why, the weightiest question first.
    pub reasons: Vec<MatchReason>,
}

/// What a reason adds to a score; all four make 100.
#[must_use]
pub fn weight(reason: MatchReason) -> i32 {
    match reason {
        MatchReason::Field => 40,
        MatchReason::Stage => 20,
        MatchReason::Amount => 25,
        MatchReason::Region => 15,
    }
}

/// Below this, a suggestion outside the investor's fields is not shown.
const LEAST_WITHOUT_FIELD: i32 = 50;

/// Compares one project with one investor's wishes.
#[must_use]
pub fn score(wishes: &Preferences, ask: &Ask) -> Score {
    let region = wishes.regions.is_empty() || wishes.regions.iter().any(|wish| covers(wish, &ask.region));
    let checks = [
        (MatchReason::Field, wishes.fields.contains(&ask.field)),
        (MatchReason::Stage, wishes.stages.contains(&ask.stage)),
        (MatchReason::Amount, (wishes.least..=wishes.most).contains(&ask.amount)),
        (MatchReason::Region, region),
    ];
    let reasons: Vec<MatchReason> = checks.into_iter().filter(|(_, holds)| *holds).map(|(reason, _)| reason).collect();
    Score { points: reasons.iter().map(|reason| weight(*reason)).sum(), reasons }
}

impl Score {
    /// Whether it is worth a suggestion.
    #[must_use]
    pub fn suffices(&self) -> bool {
        self.reasons.contains(&MatchReason::Field) || self.points >= LEAST_WITHOUT_FIELD
    }
}

/// The best `first` suggestions: highest score first, then by id, so that the same data always gives the same list.
pub fn best<I: Ord + Copy>(scored: impl IntoIterator<Item = (I, Score)>, first: usize) -> Vec<(I, Score)> {
    let mut found: Vec<(I, Score)> = scored.into_iter().filter(|(_, score)| score.suffices()).collect();
    found.sort_by_key(|(id, score)| (std::cmp::Reverse(score.points), *id));
    found.truncate(first);
    found
}

/// A division lies in another whose digits it begins with; a pair of zeros at the end of a code means the whole of the
/// level above, so that 510000 is the province 51 (GB/T 2260).
fn covers(wish: &str, region: &str) -> bool {
    let mut prefix = wish;
    while let Some(shorter) = prefix.strip_suffix("00") {
        prefix = shorter;
    }
    region.starts_with(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wishes() -> Preferences {
        Preferences {
            fields: vec![TechnologyField::NewEnergy],
            stages: vec![Stage::Pilot],
            regions: vec!["51".into()],
            least: Money(100),
            most: Money(200),
        }
    }

    fn ask() -> Ask {
        Ask { field: TechnologyField::NewEnergy, stage: Stage::Pilot, amount: Money(150), region: "510107".into() }
    }

    #[test]
    fn each_reason_has_its_weight() {
        use MatchReason::{Amount, Field, Region, Stage as StageReason};
        let of = |ask: Ask| score(&wishes(), &ask);
        assert_eq!(of(ask()), Score { points: 100, reasons: vec![Field, StageReason, Amount, Region] });
        let other_field = of(Ask { field: TechnologyField::Nuclear, ..ask() });
        assert_eq!(other_field, Score { points: 60, reasons: vec![StageReason, Amount, Region] });
        assert!(other_field.suffices());
        assert_eq!(of(Ask { stage: Stage::Early, ..ask() }).points, 80);
        for (amount, inside) in [(99, false), (100, true), (200, true), (201, false)] {
            assert_eq!(of(Ask { amount: Money(amount), ..ask() }).points, if inside { 100 } else { 75 });
        }
        assert_eq!(of(Ask { region: "500107".into(), ..ask() }).points, 85);
        assert_eq!(score(&Preferences { regions: Vec::new(), ..wishes() }, &ask()).points, 100);
    }

    #[test]
    fn a_division_covers_what_lies_in_it() {
        for (wish, region, inside) in [
            ("51", "510107", true),
            ("5101", "510107", true),
            ("510107", "510107", true),
            ("510108", "510107", false),
            ("510000", "510107", true),
            ("5100", "510107", true),
            ("510100", "510107", true),
            ("510100", "510700", false),
            ("50", "510107", false),
        ] {
            assert_eq!(covers(wish, region), inside, "{wish} {region}");
        }
    }

    fn fields() -> impl Strategy<Value = TechnologyField> {
        (0..=10).prop_map(|number| TechnologyField::try_from(number).unwrap())
    }

    fn stages() -> impl Strategy<Value = Stage> {
        (0..=2).prop_map(|number| Stage::try_from(number).unwrap())
    }

    prop_compose! {
        fn any_wishes()(
            fields in prop::collection::vec(fields(), 1..4),
            stages in prop::collection::vec(stages(), 1..3),
            regions in prop::collection::vec("5[01]|5[01]0[12]|5[01]0[12]0[12]", 0..3),
            least in 0..100_i64,
            span in 0..100_i64,
        ) -> Preferences {
            Preferences { fields, stages, regions, least: Money(least), most: Money(least + span) }
        }
    }

    prop_compose! {
        fn any_ask()(field in fields(), stage in stages(), amount in 1..200_i64, region in "5[01]0[12]0[12]") -> Ask {
            Ask { field, stage, amount: Money(amount), region }
        }
    }

    proptest! {
        #[test]
        fn points_are_the_sum_of_the_reasons(wishes in any_wishes(), ask in any_ask()) {
            let score = score(&wishes, &ask);
            prop_assert_eq!(score.points, score.reasons.iter().map(|reason| weight(*reason)).sum::<i32>());
            prop_assert!((0..=100).contains(&score.points));
            prop_assert_eq!(score.reasons.contains(&MatchReason::Field), wishes.fields.contains(&ask.field));
        }

        /// The store reads only projects in the investor's fields, or of both its stages and its amounts.
        #[test]
        fn what_the_store_leaves_out_never_suffices(wishes in any_wishes(), ask in any_ask()) {
            let score = score(&wishes, &ask);
            let has = |reason| score.reasons.contains(&reason);
            let read = has(MatchReason::Field) || (has(MatchReason::Stage) && has(MatchReason::Amount));
            prop_assert!(read || !score.suffices());
        }

        #[test]
        fn wider_wishes_never_score_less(wishes in any_wishes(), ask in any_ask(), more in fields()) {
            let mut wider = wishes.clone();
            wider.fields.push(more);
            wider.most = Money(wider.most.0 + 1);
            wider.regions.clear();
            prop_assert!(score(&wider, &ask).points >= score(&wishes, &ask).points);
        }

        #[test]
        fn the_best_are_ordered_and_do_not_depend_on_the_order_read(
            wishes in any_wishes(), asks in prop::collection::vec(any_ask(), 0..30), first in 1..10_usize,
        ) {
            let scored: Vec<(usize, Score)> = asks.iter().map(|ask| score(&wishes, ask)).enumerate().collect();
            let found = best(scored.clone(), first);
            prop_assert_eq!(&found, &best(scored.iter().rev().cloned(), first));
            prop_assert!(found.len() <= first);
            prop_assert!(found.iter().all(|(_, score)| score.suffices()));
            for pair in found.windows(2) {
                let [(a, high), (b, low)] = pair else { unreachable!() };
                prop_assert!(high.points > low.points || (high.points == low.points && a < b));
            }
            let sufficient = scored.iter().filter(|(_, score)| score.suffices());
            prop_assert_eq!(found.len(), sufficient.clone().count().min(first));
            if let Some((_, last)) = found.last() {
                let better = sufficient.filter(|(_, score)| score.points > last.points).count();
                prop_assert!(better < found.len());
            }
        }
    }
}
