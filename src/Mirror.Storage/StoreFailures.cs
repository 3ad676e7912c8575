namespace Mirror.Storage;

/// <summary>Why a store did not take what it was given.</summary>
#pragma warning disable CA1708 // The analyzer takes two extension blocks for two members of one name.
public static class StoreFailures
#pragma warning restore CA1708
{
    private const int NoSpaceLeft = 28;
    private const int QuotaExceeded = 122;
    private const int WouldBlock = 11;
    private const int TooManyFilesOnTheMachine = 23;
    private const int TooManyFiles = 24;
    private const int ReadOnlyFileSystem = 30;
    private const int SharingViolation = unchecked((int)0x80070020);

    extension(Exception failure)
    {
        /// <summary>True for the exceptions by which a store says that it could not read or write.</summary>
        public bool IsStoreFailure => failure is IOException or UnauthorizedAccessException;
    }

    extension(IOException failure)
    {
        /// <summary>True where there is no room: ENOSPC or EDQUOT (open(2)).</summary>
        public bool IsNoSpace => failure.HResult is NoSpaceLeft or QuotaExceeded;

        /// <summary>True where nothing can be written: EROFS (open(2)).</summary>
        public bool IsReadOnly => failure.HResult is ReadOnlyFileSystem;

        /// <summary>True where no more files can be opened: EMFILE or ENFILE (open(2)).</summary>
        public bool IsOutOfFiles => failure.HResult is TooManyFiles or TooManyFilesOnTheMachine;

        /// <summary>True where it is the store that is in trouble, and not what was asked of it.</summary>
        public bool IsOfTheStore => failure.IsNoSpace || failure.IsReadOnly || failure.IsOutOfFiles || failure is StoreUnavailableException;

        /// <summary>True where another process has the file for itself: EWOULDBLOCK (flock(2)), or Windows' sharing violation.</summary>
        public bool IsHeldByAnother => failure.HResult is WouldBlock or SharingViolation;
    }
}
