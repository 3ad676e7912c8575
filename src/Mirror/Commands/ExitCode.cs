namespace Mirror.Commands;

/// <summary>How the process says that it ended.</summary>
internal static class ExitCode
{
    public const int Ok = 0;

    /// <summary>The configuration does not allow a start.</summary>
    public const int Configuration = 1;

    /// <summary>Damaged content remains in the store.</summary>
    public const int Damaged = 1;

    /// <summary>The command line is not understood.</summary>
    public const int Usage = 2;

    /// <summary>Another process is doing it already.</summary>
    public const int Busy = 3;
}
