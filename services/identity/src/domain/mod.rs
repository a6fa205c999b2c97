//! Rules of identity that need neither storage nor transport.

pub mod email;
pub mod ids;
pub mod opaque;
pub mod password;
