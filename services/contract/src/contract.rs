//! What may happen to a contract: who signs it, and what a registrar may write about it (SM-6).

use kernel::{Error, ErrorCode, Money, Refusal, Result};
use wire::{id::OrganizationId, v1::ContractStatus};

/// The statuses that may follow.
#[must_use]
pub fn next(status: ContractStatus) -> &'static [ContractStatus] {
    match status {
        ContractStatus::Draft => &[ContractStatus::HalfSigned, ContractStatus::Cancelled],
        ContractStatus::HalfSigned => &[ContractStatus::Signed, ContractStatus::Cancelled],
        ContractStatus::Signed => &[ContractStatus::Registered, ContractStatus::Cancelled],
        ContractStatus::Registered => &[ContractStatus::Cancelled],
        ContractStatus::Cancelled => &[],
    }
}

/// A contract as the rules see it.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// Where it stands.
    pub status: ContractStatus,
    /// The hash of the document.
    pub document_hash: &'a str,
    /// Which sides have signed, and by whom.
    pub signatures: Vec<(OrganizationId, &'a str)>,
}

/// A signature that somebody wants to put under a contract.
#[derive(Clone, Copy, Debug)]
pub struct Signing<'a> {
    /// The side that signs.
    pub side: OrganizationId,
    /// The person who signs for it.
    pub signer: &'a str,
    /// The hash of the document that the person read.
    pub document_hash: &'a str,
}

impl Standing<'_> {
    /// Where the contract stands after this signature. A second signature of one side is refused, as is one under
    /// another text (E2), and the signature of a person who has signed for the other side.
    pub fn sign(&self, signing: Signing<'_>) -> Result<ContractStatus> {
        self.require_standing()?;
        if self.signatures.iter().any(|(side, _)| *side == signing.side) {
            return Err(Refusal::new(ErrorCode::AlreadySigned).at_field("organizationId").into());
        }
        let target = if self.signatures.is_empty() { ContractStatus::HalfSigned } else { ContractStatus::Signed };
        self.require(target)?;
        if self.document_hash != signing.document_hash {
            let refusal = Refusal::new(ErrorCode::DocumentChanged).at_field("documentHash").by_rule("E2");
            return Err(refusal.accepting(self.document_hash).into());
        }
        if self.signatures.iter().any(|(_, signer)| *signer == signing.signer) {
            return Err(ErrorCode::SamePerson.into());
        }
        Ok(target)
    }

    /// Whether the contract may be registered now: after both have signed (T10), and once.
    pub fn require_registrable(&self) -> Result<()> {
        self.require_standing()?;
        match self.status {
            ContractStatus::Draft | ContractStatus::HalfSigned => {
                let refusal = Refusal::new(ErrorCode::ContractNotSigned).by_rule("T10");
                Err(refusal.accepting(ContractStatus::Signed.stored()).into())
            }
            _ => self.require(ContractStatus::Registered),
        }
    }

    /// Nobody signs or registers the contract of a winner who defaulted.
    fn require_standing(&self) -> Result<()> {
        match self.status {
            ContractStatus::Cancelled => {
                Err(Refusal::new(ErrorCode::DealCancelled).at_field("contractId").by_rule("SM-3").into())
            }
            _ => Ok(()),
        }
    }

    fn require(&self, target: ContractStatus) -> Result<()> {
        let allowed = next(self.status);
        if allowed.contains(&target) {
            return Ok(());
        }
        let names: Vec<&str> = allowed.iter().map(|status| status.stored()).collect();
        Err(Refusal::new(ErrorCode::IllegalTransition).accepting(names.join(" | ")).into())
    }
}

/// The two figures of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// 合同成交额: the whole price.
    pub contract: Money,
    /// 技术交易额: what remains without equipment, material and other non-technical items.
    pub technical: Money,
}

impl Amounts {
    /// Checks both figures against the price of the deal (T11).
    pub fn check(price: Money, contract: Option<Money>, technical: Option<Money>) -> Result<Amounts> {
        let contract = contract.ok_or_else(|| required("contractAmount"))?;
        let technical = technical.ok_or_else(|| required("technicalAmount"))?;
        if contract <= Money::ZERO || contract != price {
            let refusal = Refusal::new(ErrorCode::InvalidInput).at_field("contractAmount").by_rule("T11");
            return Err(refusal.accepting(price.to_string()).into());
        }
        let code = match technical {
            below if below < Money::ZERO => ErrorCode::AmountOutOfRange,
            above if above > contract => ErrorCode::TechnicalAmountAboveContract,
            _ => return Ok(Amounts { contract, technical }),
        };
        let refusal = Refusal::new(code).at_field("technicalAmount").by_rule("T11");
        Err(refusal.accepting(format!("0.00 – {contract}")).into())
    }
}

fn required(field: &str) -> Error {
    Refusal::new(ErrorCode::Required).at_field(field).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Id;
    use proptest::prelude::*;

    const ALL: [ContractStatus; 5] = [
        ContractStatus::Draft,
        ContractStatus::HalfSigned,
        ContractStatus::Signed,
        ContractStatus::Registered,
        ContractStatus::Cancelled,
    ];

    fn standing(status: ContractStatus, signatures: &[(OrganizationId, &'static str)]) -> Standing<'static> {
        Standing { status, document_hash: "right", signatures: signatures.to_vec() }
    }

    #[test]
    fn a_contract_goes_one_step_at_a_time_and_never_back() {
        for from in ALL {
            for to in ALL {
                let cancelled = to == ContractStatus::Cancelled && from != to;
                assert_eq!(next(from).contains(&to), cancelled || to as i32 == from as i32 + 1, "{from:?} → {to:?}");
                let same = standing(from, &[]).require(to).is_ok();
                assert_eq!(same, next(from).contains(&to));
            }
        }
    }

    #[test]
    fn two_sides_sign_once_each_by_two_persons() {
        let (seller, buyer) = (OrganizationId::fresh(), OrganizationId::fresh());
        let by = |side, signer, document_hash| Signing { side, signer, document_hash };
        let code = |outcome: Result<ContractStatus>| outcome.unwrap_err().code();

        let draft = standing(ContractStatus::Draft, &[]);
        assert_eq!(draft.sign(by(seller, "a", "right")).unwrap(), ContractStatus::HalfSigned);
        let refusal = draft.sign(by(seller, "a", "wrong")).unwrap_err();
        assert_eq!(refusal.code(), ErrorCode::DocumentChanged);
        let Error::Refused(refusal) = refusal else { panic!("a refusal") };
        assert_eq!(refusal.accepted.as_deref(), Some("right"));
        assert_eq!(refusal.field, ["input", "documentHash"]);

        let half = standing(ContractStatus::HalfSigned, &[(seller, "a")]);
        assert_eq!(code(half.sign(by(seller, "b", "right"))), ErrorCode::AlreadySigned);
        assert_eq!(code(half.sign(by(buyer, "a", "right"))), ErrorCode::SamePerson);
        assert_eq!(half.sign(by(buyer, "b", "right")).unwrap(), ContractStatus::Signed);

        let both = standing(ContractStatus::Signed, &[(seller, "a"), (buyer, "b")]);
        assert_eq!(code(both.sign(by(buyer, "b", "right"))), ErrorCode::AlreadySigned);
        assert_eq!(code(both.sign(by(OrganizationId::fresh(), "c", "right"))), ErrorCode::IllegalTransition);
        for signatures in [&[][..], &[(seller, "a")], &[(seller, "a"), (buyer, "b")]] {
            let cancelled = standing(ContractStatus::Cancelled, signatures);
            assert_eq!(code(cancelled.sign(by(buyer, "b", "right"))), ErrorCode::DealCancelled);
        }
    }

    #[test]
    fn registered_after_both_signed_and_only_once() {
        let code = |status| standing(status, &[]).require_registrable().map_err(|error| error.code());
        assert_eq!(code(ContractStatus::Draft), Err(ErrorCode::ContractNotSigned));
        assert_eq!(code(ContractStatus::HalfSigned), Err(ErrorCode::ContractNotSigned));
        assert_eq!(code(ContractStatus::Signed), Ok(()));
        assert_eq!(code(ContractStatus::Registered), Err(ErrorCode::IllegalTransition));
        assert_eq!(code(ContractStatus::Cancelled), Err(ErrorCode::DealCancelled));
    }

    #[test]
    fn absent_figures_are_asked_for() {
        for (contract, technical) in [(None, Some(Money(1))), (Some(Money(1)), None)] {
            assert_eq!(Amounts::check(Money(1), contract, technical).unwrap_err().code(), ErrorCode::Required);
        }
    }

    proptest! {
        #[test]
        fn only_the_whole_price_and_a_part_of_it_are_registered(
            price in 1..=i64::MAX, contract: i64, technical: i64, whole: bool,
        ) {
            let contract = if whole { price } else { contract };
            match Amounts::check(Money(price), Some(Money(contract)), Some(Money(technical))) {
                Ok(amounts) => {
                    prop_assert_eq!(amounts.contract, Money(price));
                    prop_assert!((0..=price).contains(&amounts.technical.0));
                }
                Err(error) => {
                    let expected = match (contract == price, technical < 0) {
                        (false, _) => ErrorCode::InvalidInput,
                        (true, true) => ErrorCode::AmountOutOfRange,
                        (true, false) => ErrorCode::TechnicalAmountAboveContract,
                    };
                    prop_assert_eq!(error.code(), expected);
                }
            }
        }
    }
}
