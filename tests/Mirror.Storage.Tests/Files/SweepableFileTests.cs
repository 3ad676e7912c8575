using Mirror.Storage.Disk;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.Files;

/// <summary>The rule on which the safety of a garbage collection rests.</summary>
public sealed class SweepableFileTests : IDisposable
{
    private static readonly int Rounds = LongTests.AreRun ? 5_000 : 1_000;

    private readonly string _folder = Directory.CreateTempSubdirectory("sweepable-").FullName;

    public void Dispose() => Directory.Delete(Directory.CreateDirectory(_folder).FullName, recursive: true);

    [Fact]
    public async Task A_touch_and_a_sweep_never_both_succeed()
    {
        var path = Path.Combine(_folder, "data");
        var stop = TestContext.Current.CancellationToken;
        var old = DateTime.UtcNow.AddHours(-1);
        using var start = new Barrier(2);
        var (touches, sweeps) = (0, 0);

        var touching = Task.Run(() =>
        {
            var results = new bool[Rounds];
            for (var round = 0; round < Rounds; round++)
            {
                start.SignalAndWait(stop);
                Thread.SpinWait(round % 400);
                results[round] = SweepableFile.Touch(path);
                start.SignalAndWait(stop);
            }
            return results;
        }, stop);

        var gone = new bool[Rounds];
        for (var round = 0; round < Rounds; round++)
        {
            File.WriteAllText(path, "x");
            File.SetLastWriteTimeUtc(path, old);
            start.SignalAndWait(stop);
            gone[round] = SweepableFile.Sweep(path, old.AddMinutes(1)) is not null;
            Directory.CreateDirectory(_folder);
            start.SignalAndWait(stop);
            Assert.Equal(gone[round], !File.Exists(path));
            Assert.False(File.Exists(path + ".swept"));
        }
        var touched = await touching;

        for (var round = 0; round < Rounds; round++)
        {
            Assert.False(touched[round] && gone[round], $"round {round}: both");
            Assert.True(touched[round] || gone[round], $"round {round}");
            touches += touched[round] ? 1 : 0;
            sweeps += gone[round] ? 1 : 0;
        }
        Assert.True(touches > 0 && sweeps > 0, $"{touches} touches, {sweeps} sweeps: they never met");
    }

    [Fact]
    public async Task What_was_touched_stays_also_where_a_collection_and_an_eviction_sweep_it_at_once()
    {
        var path = Path.Combine(_folder, "data");
        var stop = TestContext.Current.CancellationToken;
        var old = DateTime.UtcNow.AddHours(-1);
        using var start = new Barrier(3);
        var (stayed, went) = (0, 0);

        var touched = false;
        var touching = EachRoundAsync(137, () => touched = SweepableFile.Touch(path));
        var evicting = EachRoundAsync(61, () => SweepableFile.Sweep(path, old.AddMinutes(1), SweepableFile.Evicted));
        for (var round = 0; round < Rounds / 5; round++)
        {
            Directory.CreateDirectory(_folder);
            File.WriteAllText(path, "x");
            File.SetLastWriteTimeUtc(path, old);
            start.SignalAndWait(stop);
            SweepableFile.Sweep(path, old.AddMinutes(1), SweepableFile.Swept);
            start.SignalAndWait(stop);
            Assert.Equal(touched, File.Exists(path));
            Assert.False(File.Exists(path + SweepableFile.Swept) || File.Exists(path + SweepableFile.Evicted));
            (stayed, went) = touched ? (stayed + 1, went) : (stayed, went + 1);
        }
        await Task.WhenAll(touching, evicting);
        Assert.True(stayed > 0 && went > 0, $"{stayed} stayed, {went} went: they never met");

        Task EachRoundAsync(int pace, Action act) => Task.Run(
            () =>
            {
                for (var round = 0; round < Rounds / 5; round++)
                {
                    start.SignalAndWait(stop);
                    Thread.SpinWait(round * pace % 400);
                    act();
                    start.SignalAndWait(stop);
                }
            },
            stop);
    }

    [Fact]
    public void A_time_in_the_future_counts_as_now()
    {
        var path = Path.Combine(_folder, "data");
        File.WriteAllText(path, "x");
        File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddDays(30));
        Assert.Null(SweepableFile.Sweep(path, DateTime.UtcNow.AddMinutes(-1)));
        Assert.InRange(File.GetLastWriteTimeUtc(path), DateTime.UtcNow.AddHours(-1), DateTime.UtcNow.AddHours(1));
        Assert.Equal(1, SweepableFile.Sweep(path, DateTime.UtcNow.AddHours(1)));
    }

    [Fact]
    public void A_renamed_leftover_never_replaces_a_newer_file()
    {
        var path = Path.Combine(_folder, "data");
        File.WriteAllText(path, "new");
        File.WriteAllText(path + ".swept", "old");
        Assert.True(SweepableFile.PutBack(path));
        Assert.Equal("new", File.ReadAllText(path));
        Assert.Null(SweepableFile.Sweep(path, DateTime.UtcNow.AddHours(-1)));
        Assert.Equal("new", File.ReadAllText(path));
        Assert.False(File.Exists(path + ".swept"));
    }
}
