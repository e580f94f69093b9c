//! Log lines: for people on a terminal, or as JSON for a program.
//!
//! They go to standard error, above the progress bar, through the filter against passwords. What a
//! level means: `info` is what an operator wants to know of every run, `debug` (-v) how it decides,
//! `trace` (-vv) every statement. OSC_LOG overrides that, in the syntax of tracing's filters.

use std::fmt::Write as _;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::output::{Output, json_line, note};
use crate::error::{Error, Result};

const FILTER: &str = "OSC_LOG";

/// Sets the log up, once per process; a second call changes nothing.
pub fn start(output: Output) -> Result<()> {
    // Other people's code is kept one level quieter: what it might print is not ours to vouch for.
    let default = match (output.quiet, output.verbose) {
        (true, _) => "error",
        (false, 0) => "warn,osc=info",
        (false, 1) => "warn,osc=debug",
        (false, _) => "info,osc=trace",
    };
    let filter = match std::env::var(FILTER) {
        Ok(wanted) if !wanted.is_empty() => EnvFilter::try_new(wanted)
            .map_err(|e| Error::usage(format!("{FILTER} can't be read as a filter.")).caused_by(e))?,
        _ => EnvFilter::new(default),
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Line(Vec::new()));
    let subscriber = subscriber.event_format(Format { json: output.json, targets: output.verbose > 0 });
    let _ = subscriber.try_init();
    Ok(())
}

struct Format {
    json: bool,
    targets: bool,
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let meta = event.metadata();
        let level = meta.level().as_str().to_ascii_lowercase();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.json {
            let body = Body {
                time: since.as_secs_f64(),
                level: &level,
                target: meta.target(),
                message: &fields.message,
                fields: &fields.others,
            };
            return writeln!(writer, "{}", json_line("log", &body));
        }
        let day = since.as_secs() % 86_400;
        write!(writer, "{:02}:{:02}:{:02}Z {level:5} ", day / 3600, day / 60 % 60, day % 60)?;
        if self.targets {
            write!(writer, "{} ", meta.target())?;
        }
        writer.write_str(&fields.message)?;
        for (name, value) in &fields.others {
            match value {
                Value::String(text) => write!(writer, " {name}={text}")?,
                other => write!(writer, " {name}={other}")?,
            }
        }
        writeln!(writer)
    }
}

#[derive(Serialize)]
struct Body<'a> {
    /// Seconds since 1970.
    time: f64,
    level: &'a str,
    target: &'a str,
    message: &'a str,
    fields: &'a Map<String, Value>,
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.others.insert(field.name().into(), text.into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.into();
        } else {
            self.others.insert(field.name().into(), value.into());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.insert(field.name().into(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.others.insert(field.name().into(), value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.others.insert(field.name().into(), value.to_string().into());
    }
}

/// Collects one event's text and hands it on as a whole.
struct Line(Vec<u8>);

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.0);
        if !text.is_empty() {
            note(text.trim_end_matches('\n'));
        }
    }
}
