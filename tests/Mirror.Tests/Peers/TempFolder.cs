
namespace Mirror.Tests.Peers;

/// <summary>A folder of its own for one peer or test, gone when disposed.</summary>
public sealed class TempFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("mirror-tests-").FullName;

    /// <summary>The path of something in the folder; its own folder is made.</summary>
    public string this[params string[] parts]
    {
        get
        {
            var path = System.IO.Path.Combine([Path, .. parts]);
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
            return path;
        }
    }

    /// <summary>A folder inside, made now.</summary>
    public string Folder(string name) => Directory.CreateDirectory(System.IO.Path.Combine(Path, name)).FullName;

    /// <summary>Writes a text file and returns its path.</summary>
    public string Write(string name, string text)
    {
        File.WriteAllText(this[name], text);
        return this[name];
    }

    /// <summary>As <see cref="Write"/>, in one step: who reads the file meanwhile reads it whole.</summary>
    public string Replace(string name, string text)
    {
        File.Move(Write($"{name}.{Guid.NewGuid():N}", text), this[name], overwrite: true);
        return this[name];
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(Path, recursive: true);
        }
        catch (Exception left) when (left is IOException or UnauthorizedAccessException)
        {
            // An engine left a mount behind. The system's temporary folder is cleaned in time; a test must not fail over it.
        }
    }
}
