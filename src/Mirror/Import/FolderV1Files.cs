using System.Runtime.CompilerServices;
using Mirror.Storage.Disk;

namespace Mirror.Import;

/// <summary>A storage of docker-registry 0.x in a folder.</summary>
/// <param name="root">The folder that has <c>images</c> and <c>repositories</c>.</param>
public sealed class FolderV1Files(string root) : IV1Files
{
    private const string TagPrefix = "tag_";

    public string Name => root;

    /// <summary>Whether a folder is such a storage.</summary>
    public static bool IsOne(string root) =>
        Directory.Exists(Path.Combine(root, "images")) && Directory.Exists(Path.Combine(root, "repositories"));

    public async IAsyncEnumerable<V1Tag> TagsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var ofNamespace in Folders(Path.Combine(root, "repositories")))
            foreach (var repository in Folders(ofNamespace))
                foreach (var file in Directory.EnumerateFiles(repository, $"{TagPrefix}*").Order(StringComparer.Ordinal))
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    yield return new(
                        $"{Path.GetFileName(ofNamespace)}/{Path.GetFileName(repository)}", Path.GetFileName(file)[TagPrefix.Length..]);
                }
        await Task.CompletedTask;
    }

    public ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Entries.File(PathOf(path))?.Length);

    public ValueTask<Stream?> OpenAsync(string path, CancellationToken cancellationToken) => ValueTask.FromResult<Stream?>(
        Entries.HasFile(PathOf(path))
            ? new FileStream(PathOf(path), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete)
            : null);

    private static IEnumerable<string> Folders(string path) =>
        Entries.Folders(path).Order(StringComparer.Ordinal);

    private string PathOf(string path) => Path.Combine(root, path);
}
