//! The sessions that write to the shadow, as [`crate::engine::lanes`] wants them.

use std::rc::Rc;

use super::connect::Address;
use super::mirror::Rewrite;
use super::session::{self, Session};
use super::state;
use crate::engine::lanes;
use crate::error::{Error, Result};

pub type Lanes = lanes::Lanes<Desk>;

/// Opens them, and knows whose life it is.
pub struct Desk {
    pub address: Address,
    pub rewrite: Rc<Rewrite>,
    pub life: u64,
}

impl lanes::Desk for Desk {
    type Session = Session;

    async fn open(&self) -> Result<Session> {
        self.rewrite.session(&self.address).await
    }

    async fn begin(&self, session: &mut Session, epoch: u64) -> Result<bool> {
        session
            .exec(if self.rewrite.shadow.deferred { "BEGIN; SET CONSTRAINTS ALL IMMEDIATE" } else { "BEGIN" })
            .await?;
        state::is_current(session, &self.rewrite.names.state, epoch).await
    }

    async fn commit(&self, session: &mut Session) -> Result<()> {
        session.exec_long("COMMIT").await.map(drop)
    }

    async fn roll_back(&self, session: &mut Session) -> Result<()> {
        session.exec("ROLLBACK").await.map(drop)
    }

    async fn raise(&self, session: &mut Session) -> Result<u64> {
        state::raise(session, &self.rewrite.names.state, self.life).await
    }

    fn is_lost(error: &Error) -> bool {
        session::is_lost(error)
    }
}
