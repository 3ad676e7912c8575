namespace Mirror.Commands;

/// <summary>The exit codes of the process.</summary>
internal static class ExitCode
{
    public const int Ok = 0;

    /// <summary>The configuration does not allow a start, or damaged content remains in the store; the output says which.</summary>
    public const int Failed = 1;

    /// <summary>The command line is not valid.</summary>
    public const int Usage = 2;

    /// <summary>Another process does the same work on the same storage.</summary>
    public const int Busy = 3;

    /// <summary>The store has pushed content that the settings no longer let clients push; the output names it.</summary>
    public const int Orphaned = 4;

    /// <summary>The server does not let this client administer it.</summary>
    public const int Refused = 5;

    /// <summary>A part of the work is left for a later run; the output says which.</summary>
    public const int Unfinished = 6;
}
