namespace Mirror.Configuration;

/// <summary>Section <c>storage.filesystem</c>: content as files, in the layout of <c>registry:2</c>.</summary>
public sealed class FilesystemOptions
{
    /// <summary>The folder that holds <c>docker/registry/v2</c>. Default <c>/var/lib/registry</c>; <c>./mirror-data</c> where there is no
    /// configuration file.</summary>
    public string RootDirectory { get; set; } = "/var/lib/registry";

    /// <summary>How many blocking file operations may run at once, 25 or more. Default 100.</summary>
    public int MaxThreads { get; set; } = 100;
}
