use kernel::{Actor, Context, Event, Id, Result, audit_page};

use crate::{
    id::AuditRecordId,
    policy::{self, Of, permit},
    v1,
};

/// The audit trail of one service, oldest first. Centre staff: AUDITOR.
pub async fn list_audit(cx: &Context, actor: &Actor, wanted: v1::ListAuditRequest) -> Result<v1::AuditRecordPage> {
    // A fact names no centre, so only the hub's auditors read them.
    permit(actor, policy::AUDIT_TRAIL, Of::hub("service"))?;
    let page = wanted.page.unwrap_or_default();
    let after = page.after.as_deref().map(|after| AuditRecordId::parse(after, "after")).transpose()?;
    if let Some(subject) = &wanted.subject {
        kernel::text(subject, "subject", 1, 100)?;
    }
    let slice = audit_page(&cx.db, cx.service, wanted.subject.as_deref(), page.first, after.map(Id::uuid)).await?;
    let end = v1::PageEnd { has_next: slice.has_next, total: None };
    Ok(v1::AuditRecordPage { items: slice.items.into_iter().map(record).collect(), end: Some(end) })
}

fn record(event: Event) -> v1::AuditRecord {
    v1::AuditRecord {
        id: AuditRecordId(event.id).text(),
        service: event.service,
        kind: event.kind,
        subject: event.subject,
        actor: event.actor,
        at: Some(event.at),
        facts: event.facts,
    }
}

impl v1::Page {
    /// As keyset paging of a list whose newest row comes first.
    pub fn newest_first<I: Id>(&self) -> Result<kernel::Paging> {
        let after = self.after.as_deref().map(|after| I::parse(after, "after")).transpose()?;
        Ok(kernel::Paging { first: self.first, after: after.map(Id::uuid), newest_first: true, count: self.count })
    }
}

impl<T> From<&kernel::Slice<T>> for v1::PageEnd {
    fn from(slice: &kernel::Slice<T>) -> Self {
        v1::PageEnd { has_next: slice.has_next, total: slice.total }
    }
}
