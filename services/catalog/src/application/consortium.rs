//! Who bids together (联合受让, SM-4). No I/O, no clock.

use kernel::{Error, ErrorCode, Id, Instant, Refusal, Result, rules::RuleParameter};
use serde::{Deserialize, Serialize};
use wire::{
    id::OrganizationId,
    v1::{ConsortiumMember, ConsortiumMemberInput, ConsortiumStatus, MemberConsent},
};

/// All shares together.
const WHOLE: i64 = 10_000;

/// One of them, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    organization_id: String,
    share_bp: i32,
    /// What it says to that; nothing until it has spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consents: Option<bool>,
    /// When it said so; the lead did by applying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answered_at: Option<Instant>,
}

impl Member {
    /// The organization.
    pub fn organization(&self) -> Result<OrganizationId> {
        OrganizationId::parse(&self.organization_id, "members")
    }

    /// Whether it is this organization.
    #[must_use]
    pub fn is(&self, organization: OrganizationId) -> bool {
        self.organization_id == organization.text()
    }
}

impl From<Member> for ConsortiumMember {
    fn from(member: Member) -> Self {
        let consent = match member.consents {
            None => MemberConsent::Pending,
            Some(true) => MemberConsent::Given,
            Some(false) => MemberConsent::Declined,
        };
        ConsortiumMember {
            organization_id: member.organization_id,
            share_bp: member.share_bp,
            consent: consent.into(),
            answered_at: member.answered_at,
        }
    }
}

/// The members as they are stored.
pub fn stored(members: &[Member]) -> Result<String> {
    serde_json::to_string(members).map_err(|error| Error::Internal(error.to_string()))
}

/// The members once one of them has said whether it consents.
#[must_use]
pub fn answered(members: Vec<Member>, who: OrganizationId, (consents, now): (bool, Instant)) -> Vec<Member> {
    let speak = |member: Member| match member.is(who) {
        true => Member { consents: Some(consents), answered_at: Some(now), ..member },
        false => member,
    };
    members.into_iter().map(speak).collect()
}

/// Those who have not consented.
pub fn without_consent(members: &[Member]) -> impl Iterator<Item = &str> {
    members.iter().filter(|member| member.consents != Some(true)).map(|member| member.organization_id.as_str())
}

/// Whether they may bid together.
#[must_use]
pub fn status(members: &[Member]) -> ConsortiumStatus {
    match (members, without_consent(members).next()) {
        ([], _) => ConsortiumStatus::None,
        (_, Some(_)) => ConsortiumStatus::Forming,
        (_, None) => ConsortiumStatus::Formed,
    }
}

/// The input field of the `n`th member's organization.
#[must_use]
pub fn field(n: usize) -> String {
    format!("members.{n}.organizationId")
}

/// The members in the order in which they were named: two or more, the applicant among them, each once, and their
/// shares are the whole.
pub fn read(
    given: &[ConsortiumMemberInput],
    applicant: OrganizationId,
    allowed: bool,
    most: &RuleParameter,
) -> Result<Vec<(OrganizationId, Member)>> {
    if given.is_empty() {
        return Ok(Vec::new());
    }
    let refuse = |code, field: &str| Refusal::new(code).at_field(field).by_rule("SM-4");
    if !allowed {
        return Err(refuse(ErrorCode::ConsortiumNotAllowed, "members").into());
    }
    if !(2..=most.value).contains(&i64::try_from(given.len()).unwrap_or(i64::MAX)) {
        return Err(refuse(ErrorCode::InvalidInput, "members").accepting(format!("2–{}", most.value)).into());
    }
    let (mut members, mut whole) = (Vec::new(), 0);
    for (n, member) in given.iter().enumerate() {
        let id = OrganizationId::parse(&member.organization_id, &field(n))?;
        if members.iter().any(|(known, _)| *known == id) {
            return Err(refuse(ErrorCode::AlreadyExists, &field(n)).into());
        }
        if !(1..=WHOLE).contains(&i64::from(member.share_bp)) {
            let refusal = refuse(ErrorCode::InvalidInput, &format!("members.{n}.shareBp"));
            return Err(refusal.accepting(format!("1–{WHOLE}")).into());
        }
        whole += i64::from(member.share_bp);
        let consents = (id == applicant).then_some(true);
        let share_bp = member.share_bp;
        members.push((id, Member { organization_id: id.text(), share_bp, consents, answered_at: None }));
    }
    if !members.iter().any(|(id, _)| *id == applicant) {
        return Err(refuse(ErrorCode::InvalidInput, "members").accepting(applicant.text()).into());
    }
    if whole != WHOLE {
        return Err(refuse(ErrorCode::InvalidInput, "members").accepting(format!("Σ shareBp = {WHOLE}")).into());
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use kernel::{
        Error, Instant,
        calendar::cst_date,
        rules::{NATION, Rulebook},
    };

    use super::*;

    #[test]
    fn a_consortium_is_formed_by_its_members_consent() {
        assert_eq!(status(&[]), ConsortiumStatus::None);
        let [lead, a, b] = std::array::from_fn(|_| OrganizationId::fresh());
        let member = |id: OrganizationId, consents| Member {
            organization_id: id.text(),
            share_bp: 1,
            consents,
            answered_at: None,
        };
        let members = vec![member(lead, Some(true)), member(a, None), member(b, None)];
        let members = answered(members, a, (true, Instant(1)));
        assert_eq!(status(&members), ConsortiumStatus::Forming);
        assert_eq!(without_consent(&members).collect::<Vec<_>>(), [b.text()]);
        let declined = answered(members.clone(), b, (false, Instant(2)));
        assert_eq!(status(&declined), ConsortiumStatus::Forming);
        let formed = answered(declined, b, (true, Instant(3)));
        assert_eq!(status(&formed), ConsortiumStatus::Formed);
        let read: Vec<Member> = serde_json::from_str(&stored(&formed).unwrap()).unwrap();
        assert_eq!(read, formed);
    }

    fn refused(
        given: &[(OrganizationId, i32)],
        applicant: OrganizationId,
        allowed: bool,
    ) -> Option<(ErrorCode, String)> {
        let book = Rulebook::builtin().unwrap();
        let most = book.at("bidding.consortium.max_members", NATION, cst_date(Instant(1_790_000_000_000))).unwrap();
        let input = |(id, share_bp): &(OrganizationId, i32)| ConsortiumMemberInput {
            organization_id: id.text(),
            share_bp: *share_bp,
        };
        match read(&given.iter().map(input).collect::<Vec<_>>(), applicant, allowed, most) {
            Err(Error::Refused(refusal)) => Some((refusal.error_code(), refusal.field.join("."))),
            Ok(members) => {
                assert_eq!(members.len(), given.len());
                None
            }
            Err(fault) => panic!("{fault}"),
        }
    }

    #[test]
    fn a_consortium_is_whole_and_led_by_the_applicant() {
        use ErrorCode::*;
        let [lead, a, b] = std::array::from_fn(|_| OrganizationId::fresh());
        let no = |code, field: &str| Some((code, format!("input.{field}")));
        assert_eq!(refused(&[], lead, false), None);
        assert_eq!(refused(&[(lead, 6_000), (a, 4_000)], lead, true), None);
        assert_eq!(refused(&[(lead, 6_000), (a, 4_000)], lead, false), no(ConsortiumNotAllowed, "members"));
        assert_eq!(refused(&[(lead, 10_000)], lead, true), no(InvalidInput, "members"));
        assert_eq!(refused(&[(a, 6_000), (b, 4_000)], lead, true), no(InvalidInput, "members"));
        assert_eq!(refused(&[(lead, 6_000), (a, 3_999)], lead, true), no(InvalidInput, "members"));
        assert_eq!(refused(&[(lead, 6_000), (a, 4_001)], lead, true), no(InvalidInput, "members"));
        assert_eq!(refused(&[(lead, 10_000), (a, 0)], lead, true), no(InvalidInput, "members.1.shareBp"));
        assert_eq!(refused(&[(lead, 5_000), (a, i32::MIN)], lead, true), no(InvalidInput, "members.1.shareBp"));
        let twice = [(lead, 3_000), (a, 4_000), (lead, 3_000)];
        assert_eq!(refused(&twice, lead, true), no(AlreadyExists, "members.2.organizationId"));
        let many: Vec<_> =
            std::iter::once(lead).chain((0..10).map(|_| OrganizationId::fresh())).map(|id| (id, 900)).collect();
        assert_eq!(refused(&many, lead, true), no(InvalidInput, "members"));
    }
}
