using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.PullThrough;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>Interrupted downloads and uploads stay within bounds, and the oldest go first.</summary>
public sealed class InterruptedTransfersTests : MirrorOfHub
{
    private const int MaxOfEach = 200, More = 5;

    [Fact]
    public async Task The_oldest_go_when_there_are_too_many()
    {
        await Mirror.KillAsync();
        var spools = Enumerable.Range(0, MaxOfEach + More + 1).Select(i => Leave(SpoolPath(i), 10, OlderThan(i))).ToList();
        var checkpoint = Leave(SpoolPath(1) + ".hash", 10, OlderThan(1));
        var uploads = Enumerable.Range(0, MaxOfEach + More + 1).Select(i => Leave(UploadPath(i), 10, OlderThan(i))).ToList();
        var young = Enumerable.Range(MaxOfEach + More + 1, 10)
            .SelectMany(i => new[] { Leave(SpoolPath(i), 10, TimeSpan.Zero), Leave(UploadPath(i), 10, TimeSpan.Zero) }).ToList();
        // The very oldest ones are in use.
        using (Hold(spools[0]))
        using (Hold(uploads[0]))
        {
            await Mirror.StartAgainAsync();
            await Mirror.UntilLoggedAsync(line => line.Contains("deleted the oldest interrupted", StringComparison.Ordinal));
        }

        foreach (var kind in new[] { spools, uploads })
            Assert.Equal(Enumerable.Range(1, More + 1), Enumerable.Range(0, kind.Count).Where(i => !File.Exists(kind[i])));
        Assert.False(File.Exists(checkpoint));
        Assert.False(Directory.Exists(Path.GetDirectoryName(uploads[1])));
        Assert.All(young, path => Assert.True(File.Exists(path)));
        Assert.Equal(2 * (More + 1), await Mirror.MetricAsync("mirror_interrupted_deleted_total"));
    }

    [Fact]
    public async Task The_oldest_go_when_all_together_are_too_long()
    {
        await Mirror.KillAsync();
        var part = new DriveInfo(Mirror.Root).TotalSize / 10;
        // Sparse files: all of them are more than a tenth of the disk.
        var oldest = Leave(SpoolPath(1), part / 2, OlderThan(1));
        var older = Leave(UploadPath(1), part + 1, OlderThan(2));
        var old = Leave(SpoolPath(2), 10, OlderThan(3));
        var young = Leave(UploadPath(2), part, TimeSpan.Zero);
        await Mirror.StartAgainAsync();
        await Mirror.UntilLoggedAsync(line => line.Contains("deleted the oldest interrupted", StringComparison.Ordinal));

        Assert.Equal(
            (false, false, true, true), (File.Exists(oldest), File.Exists(older), File.Exists(old), File.Exists(young)));
    }

    private static string SpoolPath(int i) => RegistryLayout.Fill(Digest.Parse($"sha256:{i:x64}"));

    private static string UploadPath(int i) =>
        RegistryLayout.UploadData(RepositoryName.Parse($"local/app-{i % 7}"), new Guid(i, 0, 0, new byte[8]));

    private static TimeSpan OlderThan(int i) => TimeSpan.FromHours(100) - TimeSpan.FromMinutes(10 * i);

    private static FileStream Hold(string path) => new(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);

    private string Leave(string relative, long length, TimeSpan age)
    {
        var path = Path.Combine(Mirror.Root, relative);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using (var file = File.OpenHandle(path, FileMode.Create, FileAccess.Write))
            RandomAccess.SetLength(file, length);
        File.SetLastWriteTimeUtc(path, DateTime.UtcNow - age);
        return path;
    }
}
