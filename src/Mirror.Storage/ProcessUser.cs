using System.Globalization;
using System.Runtime.InteropServices;

namespace Mirror.Storage;

/// <summary>The user that this process runs as.</summary>
public static partial class ProcessUser
{
    /// <summary>The name, or the number of a user without a name, as in many containers. <c>chown</c> takes both.</summary>
    public static string Name =>
        Environment.UserName.Length > 0 || OperatingSystem.IsWindows() ? Environment.UserName
            : EffectiveUser().ToString(CultureInfo.InvariantCulture);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint EffectiveUser();
}
