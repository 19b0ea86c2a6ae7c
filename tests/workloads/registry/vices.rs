use std::time::Duration;

/// What a registry does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Vice {
    /// Nothing.
    #[default]
    None,
    /// Of an upload that it told an offset of, it loses half when it is asked again.
    LosesBytes,
    /// It tells of more bytes than were sent.
    TellsTooMuch,
    /// It tells the right offset, and has other bytes.
    SpoilsBytes,
    /// It answers to a PATCH that it holds less than was sent.
    KeepsLess,
    /// It has forgotten an upload when it is asked for the offset, so often.
    Forgets(u64),
    /// It acknowledges blobs and does not keep them.
    KeepsNothing,
    /// It keeps less of a blob than was pushed.
    KeepsShort,
    /// It serves other bytes.
    ServesWrong,
    /// It serves fewer bytes.
    ServesShort,
    /// It appends what is sent again.
    AppendsAgain,
    /// It says that an upload is cancelled, and keeps it.
    KeepsCancelled,
    /// It resets the connection in the middle of each body of more than a KiB.
    Resets,
    /// It answers 429 with a `Retry-After` to every third PATCH or status of an upload.
    IsBusy,
    /// It answers each request so much later.
    IsSlow(Duration),
    /// It answers nothing for so long from its nth request on.
    StandsStillOnce { after: u64, length: Duration },
    /// It ends an upload, and says so, when no byte comes for so long.
    EndsSilentBodies(Duration),
    /// It resets a connection on which no byte comes for so long.
    ResetsSilentBodies(Duration),
    /// It answers to no PUT before so many of them are there, each on a connection of its own.
    WaitsForPuts(usize),
    /// It mounts nothing, and takes no blob by a POST.
    OnlyUploads,
    /// It wants no chunk smaller than this, except the last one.
    WantsChunks(u64),
    /// It answers to a range with the whole blob.
    IgnoresRanges,
    /// It sends what is no HTTP.
    SpeaksNonsense,
}
