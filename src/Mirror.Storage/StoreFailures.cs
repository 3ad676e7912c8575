namespace Mirror.Storage;

/// <summary>Why a store did not take what it was given.</summary>
public static class StoreFailures
{
    private const int NoSpaceLeft = 28;
    private const int QuotaExceeded = 122;

    extension(IOException failure)
    {
        /// <summary>True where there is no room: ENOSPC or EDQUOT (open(2)).</summary>
        public bool IsNoSpace => failure.HResult is NoSpaceLeft or QuotaExceeded;
    }
}
