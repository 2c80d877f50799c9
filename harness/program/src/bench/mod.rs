//! What TLS costs Kong and its server: connections in every mode, queries, storms of connections and distances. Every
//! figure is a ratio to plaintext in the same run, so that it means the same on a slow machine and on a fast one.

mod bare;
mod cpu;
mod distance;
mod error;
mod estimate;
mod far;
mod handshake;
mod measure;
mod modes;
mod pace;
mod remote;
mod results;
mod show;
mod single;
mod storm;
mod traffic;
mod versus;

pub use error::BenchError;
pub use estimate::Estimate;
pub use measure::{BenchRequest, measure};
pub use pace::{Pace, Watch};
pub use remote::{Dsn, DsnError, measure_server};
pub use results::{
    Compared, Distance, Handshake, Limit, Measurements, MeasurementsError, NotMeasured, Storm, Traffic, Versus, Waits,
};
pub use show::{Claim, Comparison, claims, new_folder, page, write_document, write_files, write_table};
pub use single::{Bench, SingleMode};
