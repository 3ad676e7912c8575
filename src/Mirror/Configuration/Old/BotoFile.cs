namespace Mirror.Configuration.Old;

/// <summary>The file of boto, the library by which docker-registry 0.x reached S3: another place to name the store.</summary>
/// <param name="Path">The file.</param>
/// <param name="Host">The host of the store.</param>
/// <param name="Port">Its port; null where the file does not say.</param>
internal sealed record BotoFile(string Path, string Host, string? Port)
{
    /// <summary>The file that <c>BOTO_CONFIG</c> names, or else <c>~/.boto</c> or <c>/etc/boto.cfg</c>; null where none of them names a
    /// store.</summary>
    public static BotoFile? Read(IReadOnlyDictionary<string, string> environment)
    {
        string[] paths = OldFile.Value(environment, "BOTO_CONFIG") is { } named ? [named]
            : OldFile.Value(environment, "HOME") is { } home ? [System.IO.Path.Combine(home, ".boto"), "/etc/boto.cfg"]
            : ["/etc/boto.cfg"];
        return paths.Where(path => File.Exists(path) && FileMistake.Of(path) is null).Select(Of).FirstOrDefault(file => file is not null);
    }

    private static BotoFile? Of(string path)
    {
        var values = IniFile.Read(path);
        // The manual of docker-registry has other names than its code.
        return (Value("s3_host") ?? Value("boto_host")) is { Length: > 0 } host
            ? new(path, host, Value("s3_port") ?? Value("boto_port"))
            : null;

        string? Value(string key) => values.GetValueOrDefault(("Credentials", key));
    }
}
