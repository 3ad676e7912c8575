namespace Mirror.Storage;

/// <summary>Tells the failures of a store apart.</summary>
#pragma warning disable CA1708 // The analyzer takes the two extension blocks for two members with the same name.
public static class StoreFailures
#pragma warning restore CA1708
{
    internal const int NoSpaceLeft = 28;
    private const int QuotaExceeded = 122;
    internal const int WouldBlock = 11;
    private const int TooManyFilesOnTheMachine = 23;
    private const int TooManyFiles = 24;
    private const int ReadOnlyFileSystem = 30;
    private const int InputOutputError = 5;
    private const int NoSuchDeviceOrAddress = 6;
    private const int NoSuchDevice = 19;
    private const int TimedOut = 110;
    private const int StaleHandle = 116;
    private const int NeedsCleaning = 117;
    private const int RemoteInputOutputError = 121;
    private const int SharingViolation = unchecked((int)0x80070020);

    /// <summary>The exception of a store that is full.</summary>
    public static IOException NoSpace(string message) => new(message, NoSpaceLeft);

    extension(Exception failure)
    {
        /// <summary>True for the exceptions that a store throws when it cannot read or write.</summary>
        public bool IsStoreFailure => failure is IOException or UnauthorizedAccessException;

        /// <summary>The message without the full stop that some messages have, for a sentence that goes on.</summary>
        public string Reason => failure.Message.TrimEnd('.');
    }

    extension(IOException failure)
    {
        /// <summary>True where the disk is full: ENOSPC or EDQUOT (open(2)).</summary>
        public bool IsNoSpace => failure.HResult is NoSpaceLeft or QuotaExceeded;

        /// <summary>True where the file system is read-only: EROFS (open(2)).</summary>
        public bool IsReadOnly => failure.HResult is ReadOnlyFileSystem;

        /// <summary>True where the process or the machine cannot open more files: EMFILE or ENFILE (open(2)).</summary>
        public bool IsOutOfFiles => failure.HResult is TooManyFiles or TooManyFilesOnTheMachine;

        /// <summary>True where the disk, or the machine that has it, is broken or away: EIO and its kind (errno(3)).</summary>
        public bool IsOfTheDisk => OperatingSystem.IsLinux() && failure.HResult is InputOutputError or NoSuchDeviceOrAddress
            or NoSuchDevice or TimedOut or StaleHandle or NeedsCleaning or RemoteInputOutputError;

        /// <summary>True where the disk cannot read these bytes: EIO (read(2)). It may be able to read others.</summary>
        public bool IsUnreadableDisk => OperatingSystem.IsLinux() && failure.HResult is InputOutputError;

        /// <summary>True where the store as a whole fails, and not only this request.</summary>
        public bool IsOfTheStore => failure.IsNoSpace || failure.IsReadOnly || failure.IsOutOfFiles || failure.IsOfTheDisk
            || failure is StoreUnavailableException;

        /// <summary>True where another process has locked the file: EWOULDBLOCK (flock(2)), or a sharing violation of Windows.</summary>
        public bool IsHeldByAnother => failure.HResult is WouldBlock or SharingViolation;
    }
}
