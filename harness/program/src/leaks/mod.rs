//! What outlives the cell that used it, or the run that started it: processes, ports, containers and files.

mod grace;
mod leak;
mod processes;
mod run;
mod trace;

pub use leak::Leak;
pub use processes::listening_sockets;
pub use run::{adopt_descendants, left_of_run};
pub use trace::{Trace, Traced, Traces};
