using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Mirror.Repositories;
using Mirror.Search;
using Mirror.Storage;
using Mirror.Storage.Files;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Search;

/// <summary>A database of the index that answers late, or not at all.</summary>
public sealed class AwayDatabaseTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly FakeTimeProvider _time = new();
    private readonly ScriptedIndex _index = new();
    private readonly SourceIndex _source;
    private readonly RepositorySearch _search;

    public AwayDatabaseTests()
    {
        _source = new(new(), _time, NullLogger<SourceIndex>.Instance);
        _search = new(new RepositoryNames(new FileReferenceStore(_folder.Path), _time), _source, _time, _index);
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _source.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_failure_ends_all_waits_and_for_five_seconds_the_database_is_not_asked()
    {
        // Both ask, and the second one does not answer.
        var (one, other) = (FindAsync(), FindAsync());
        _index.Asked[0].SetException(new TimeoutException());
        Assert.Empty(await one);
        Assert.Empty(await other);
        Assert.Equal(2, _index.Asked.Count);

        _time.Advance(TimeSpan.FromSeconds(4));
        Assert.Empty(await FindAsync());
        Assert.Equal(2, _index.Asked.Count);

        // One search asks again, and the others do not wait for it.
        _time.Advance(TimeSpan.FromSeconds(2));
        var again = FindAsync();
        Assert.Empty(await FindAsync());
        Assert.Equal(3, _index.Asked.Count);
        _index.Asked[2].SetResult([new("team/app", "")]);
        Assert.Single(await again);

        var back = FindAsync();
        _index.Asked[3].SetResult([new("team/app", "")]);
        Assert.Single(await back);
    }

    private Task<IReadOnlyList<FoundRepository>> FindAsync() => _search.FindAsync("app", 10, _ => new(true), Cancel);

    private sealed class ScriptedIndex : ISearchIndex
    {
        public List<TaskCompletionSource<IReadOnlyList<FoundRepository>>> Asked { get; } = [];

        public string Name => "scripted";

        public Task PrepareAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task<IReadOnlyList<RepositoryName>> AddAsync(
            IReadOnlyCollection<RepositoryName> names, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task RemoveAsync(RepositoryName name, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<IReadOnlyList<FoundRepository>> FindAsync(string text, int count, CancellationToken cancellationToken)
        {
            Asked.Add(new(TaskCreationOptions.RunContinuationsAsynchronously));
            return Asked[^1].Task;
        }
    }
}
