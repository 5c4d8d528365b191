//! Where pictures go: the files of `--ladder` and `--svg`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::Recorder;
use super::sequence;
use crate::cli;
use crate::error::{Answer, CREATE, Failure};
use crate::lang::Lang;

/// The picture of a session that begins: the file of `--ladder`, and what is recorded for it.
pub struct Picture {
    path: PathBuf,
    lang: Lang,
    is_dark: bool,
    recorder: Arc<Recorder>,
}

impl Picture {
    /// The picture that the user wants, if any. The file is made now, so that a path that cannot be written
    /// to is reported before anything else is done.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn begin(ladder: &cli::Picture, lang: Lang) -> Answer<Option<Picture>> {
        let Some(path) = ladder.file.clone() else { return Ok(None) };
        save(&path, "")?;
        Ok(Some(Picture { path, lang, is_dark: ladder.is_dark, recorder: Recorder::new() }))
    }

    /// Records what the picture will show.
    pub fn recorder(&self) -> Arc<Recorder> {
        Arc::clone(&self.recorder)
    }

    /// Draws what was recorded, and each scene of it in a file of its own: `a.svg` and `a-1-connme.svg`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self) -> Answer<()> {
        let (tapes, left_out) = self.recorder.tapes();
        save(&self.path, &sequence::draw(&tapes, left_out, None, self.lang, self.is_dark))?;
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        for (n, (scene, tapes)) in self.recorder.scenes().into_iter().enumerate() {
            let path = self.path.with_file_name(format!("{stem}-{}-{}.svg", n + 1, scene.word));
            let title = Some(scene.typed.as_str());
            save(&path, &sequence::draw(&tapes, 0, title, self.lang, self.is_dark))?;
        }
        Ok(())
    }
}

/// Writes a text into a file.
///
/// # Errors
/// The file cannot be written.
pub(super) fn save(path: &Path, text: &str) -> Answer<()> {
    let failed = |error| Failure::local(CREATE, path.display(), error);
    fs::write(path, text).map_err(failed)
}
